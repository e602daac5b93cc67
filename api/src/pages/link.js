const form = document.querySelector("form"), said = document.querySelector("output");
const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname);
const say = (text) => { said.textContent = text; };
if (!token) {
  form.hidden = true;
  say("This link is not whole. Please open it from the mail once more.");
}
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = { token };
  if (form.elements.new_password) body.new_password = form.elements.new_password.value;
  try {
    const answer = await fetch(location.pathname, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (answer.ok) {
      form.hidden = true;
      say(form.dataset.done);
      return;
    }
    const problem = await answer.json();
    say((problem.errors && problem.errors.length ? problem.errors[0] : problem).detail);
  } catch {
    say("That did not work. Please try again.");
  }
});
