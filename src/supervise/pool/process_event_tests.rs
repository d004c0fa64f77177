use super::*;
use crate::plan::Preload;

fn event(role: Role, change: ProcessChange) -> ProcessEvent {
    ProcessEvent { process: ProcessId(3), role, generation: GenerationId(2), change }
}

fn words(message: &str) -> LastWords {
    LastWords { message: message.to_owned(), traceback: String::new() }
}

fn roles() -> [Role; 4] {
    [Role::Web, Role::Zygote(Preload::App), Role::Hooks, Role::Background("queue".to_owned())]
}

fn changes() -> Vec<ProcessChange> {
    use ProcessChange::*;
    let (cause, took) = (Cause::MaxAge, Duration::from_millis(250));
    vec![
        Started {},
        Waits { at: "wsgi.py line 6 (load)".to_owned(), age: took, stacks: "stacks".to_owned() },
        Held { settle: took },
        Ready { ready: Some(1), wanted: Some(4), took },
        Ready { ready: None, wanted: None, took },
        Draining { cause },
        Hung { cause: Cause::Hung, age: took },
        Killed { cause },
        Failed { last_words: words("no module named goods") },
        Exited { exit: Exit::Code(0) },
        Died { exit: Some(Exit::Signal(9)), ready: true, last_words: words("") },
        NotStarted { reason: "no such user".to_owned() },
        HookFailed { hook: Hook::PreFork, error: "KeyError: 'no'".to_owned() },
    ]
}

#[test]
fn what_programs_read_of_a_process_is_what_was_written() {
    for (role, change) in
        roles().into_iter().flat_map(|role| changes().into_iter().map(move |it| (role.clone(), it)))
    {
        let event = event(role, change);
        let written = serde_json::to_value(&event).expect("it is JSON");
        assert_eq!(serde_json::from_value::<ProcessEvent>(written.clone()).ok(), Some(event), "{written}");
    }
}

#[test]
fn what_happens_to_a_process_is_a_sentence_with_its_reason() {
    use ProcessChange::*;
    let took = Duration::from_millis(250);
    for (role, change, told) in [
        (
            Role::Web,
            Ready { ready: Some(1), wanted: Some(4), took },
            "worker w3 of g2 ready after 0.25 s (1 of 4)",
        ),
        (Role::Web, Draining { cause: Cause::MaxAge }, "worker w3 of g2 drains: max_age reached"),
        (
            Role::Web,
            Hung { cause: Cause::Hung, age: Duration::from_secs(31) },
            "worker w3 of g2 hangs: no heartbeat within the timeout (31.0 s)",
        ),
        (
            Role::Web,
            Killed { cause: Cause::Stop },
            "worker w3 of g2 killed (the app stops): it did not end by itself",
        ),
        (
            Role::Zygote(Preload::App),
            Ready { ready: None, wanted: None, took },
            "zygote w3 of g2 has loaded the app after 0.25 s; workers are forked from it",
        ),
        (
            Role::Hooks,
            HookFailed { hook: Hook::PreFork, error: "KeyError: 'no'".to_owned() },
            "the hook pre_fork failed, and nothing else did: KeyError: 'no'",
        ),
        (
            Role::Hooks,
            Hung { cause: Cause::HookTimeout, age: Duration::from_secs(61) },
            "hook host w3 of g2 hangs: a hook of gunicorn's master has not ended; none runs until the next rollout \
             (61.0 s)",
        ),
        (
            Role::Background("queue".to_owned()),
            Died { exit: Some(Exit::Code(1)), ready: true, last_words: words("") },
            "process w3 of g2 (queue) ended by itself; another one is started: exit status 1",
        ),
    ] {
        assert_eq!(event(role, change).to_string(), told);
    }
}
