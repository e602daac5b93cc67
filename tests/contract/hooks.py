"""Who schemathesis is: nobody, or the account that the environment names."""

import os

import requests
import schemathesis

URL = os.environ["CONTRACT_URL"]
EMAIL = os.environ.get("CONTRACT_EMAIL")

if EMAIL:

    # Its cookie makes it a device that is known: whoever guesses the account's password slows others down, not it.
    browser = requests.Session()

    # Some requests end sessions, this one among them: a new one is opened every few seconds.
    @schemathesis.auth(refresh_interval=3)
    class Session:
        def get(self, case, context):
            body = {"email": EMAIL, "password": os.environ["CONTRACT_PASSWORD"]}
            answer = browser.post(f"{URL}/api/auth/login", json=body, timeout=10)
            answer.raise_for_status()
            return answer.json()["token"]

        def set(self, case, token, context):
            case.headers["Authorization"] = f"Bearer {token}"
