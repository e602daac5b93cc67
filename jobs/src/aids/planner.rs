//! A study plan by rules: weak topics come often and come back after some days, strong ones are not forgotten.

use bellwork_shared::ai::forms::{StudyDay, StudyPlan, StudyTask};
use bellwork_shared::topics::TopicStanding;

/// Nobody learns one thing much longer in one go.
const SITTING_MINUTES: u32 = 30;
/// More changes of topic in a day tire.
const MOST_TASKS: u32 = 4;
/// How much a topic counts in which all goes well, beside 1 for one in which nothing does.
const LEAST_WEIGHT: f64 = 0.15;
/// Topics named in the summary.
const NAMED: usize = 3;
/// What to do when a topic comes for the first, the second and each further time.
const ACTIVITIES: [&str; 3] = [
    "Read the explanations of the questions that went wrong, and write down the rule behind each in your own words.",
    "Answer the questions on this topic once more without help, then compare with the explanations.",
    "Say from memory what the topic is about, then go through what is still unsure with flashcards.",
];

/// A plan for `days` of `minutes` each. There must be a topic; the weakest comes first.
pub(crate) fn plan(topics: &[TopicStanding], days: u32, minutes: u32) -> StudyPlan {
    let tasks = (minutes / SITTING_MINUTES).clamp(1, MOST_TASKS);
    let mut turns = Turns::new(topics);
    let task = |turns: &mut Turns<'_>| {
        let (topic, times) = turns.next();
        let activity = ACTIVITIES[times.min(ACTIVITIES.len() - 1)].to_owned();
        StudyTask { topic: topic.topic.clone(), activity, minutes: minutes / tasks }
    };
    let day = |day| StudyDay { day, tasks: (0..tasks).map(|_| task(&mut turns)).collect() };
    StudyPlan { summary: summary(topics), days: (1..=days).map(day).collect() }
}

fn summary(topics: &[TopicStanding]) -> String {
    let named = topics.iter().take(NAMED).map(|topic| format!("{} ({:.0} % right)", topic.topic, topic.share * 100.0));
    let named: Vec<_> = named.collect();
    let label = if named.len() == 1 { "Your weakest topic is" } else { "Your weakest topics are" };
    format!("{label} {}. What goes least well comes most often, and comes back after some days.", named.join(", "))
}

/// Whose turn it is, by smooth weighted round robin: each topic's turns lie evenly apart.
struct Turns<'a> {
    lines: Vec<Line<'a>>,
    sum: f64,
}

struct Line<'a> {
    topic: &'a TopicStanding,
    weight: f64,
    credit: f64,
    times: usize,
}

impl<'a> Turns<'a> {
    fn new(topics: &'a [TopicStanding]) -> Self {
        let weight = |topic: &TopicStanding| 1.0 - topic.share.clamp(0.0, 1.0) * (1.0 - LEAST_WEIGHT);
        let line = |topic| Line { topic, weight: weight(topic), credit: 0.0, times: 0 };
        Self { lines: topics.iter().map(line).collect(), sum: topics.iter().map(weight).sum() }
    }

    /// The next topic, and how often it came before.
    fn next(&mut self) -> (&'a TopicStanding, usize) {
        for line in &mut self.lines {
            line.credit += line.weight;
        }
        let richest =
            |best: usize, next: usize| if self.lines[next].credit > self.lines[best].credit { next } else { best };
        let chosen = (0..self.lines.len()).reduce(richest).expect("a plan is made of at least one topic");
        let line = &mut self.lines[chosen];
        line.credit -= self.sum;
        line.times += 1;
        (line.topic, line.times - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(shares: &[f64]) -> Vec<TopicStanding> {
        let topic = |(place, share): (usize, &f64)| TopicStanding {
            subject: "biology".to_owned(),
            topic: format!("t{place}"),
            answered: 4,
            correct: 0,
            share: *share,
            last_answered_at: chrono::DateTime::UNIX_EPOCH,
        };
        shares.iter().enumerate().map(topic).collect()
    }

    #[test]
    fn weak_topics_come_most_often_and_all_of_them_come() {
        let plan = plan(&topics(&[0.0, 0.5, 1.0]), 14, 60);
        assert_eq!(plan.days.iter().map(|day| day.day).collect::<Vec<_>>(), (1..=14).collect::<Vec<_>>());
        assert!(
            plan.days.iter().all(|day| day.tasks.len() == 2 && day.tasks.iter().map(|t| t.minutes).sum::<u32>() <= 60)
        );
        let tasks: Vec<_> = plan.days.iter().flat_map(|day| &day.tasks).collect();
        let times = |topic: &str| tasks.iter().filter(|task| task.topic == topic).count();
        assert_eq!((times("t0"), times("t1"), times("t2")), (16, 9, 3));
        assert_eq!((tasks[0].topic.as_str(), tasks[0].activity.as_str()), ("t0", ACTIVITIES[0]));
        assert!(
            plan.summary.starts_with("Your weakest topics are t0 (0 % right), t1 (50 % right)"),
            "{}",
            plan.summary
        );
    }

    #[test]
    fn a_short_day_has_one_task_and_one_topic_is_enough() {
        let plan = plan(&topics(&[1.0]), 3, 10);
        assert!(plan.days.iter().all(|day| day.tasks.len() == 1 && day.tasks[0].minutes == 10));
        assert_eq!(plan.days[2].tasks[0].activity, ACTIVITIES[2]);
    }
}
