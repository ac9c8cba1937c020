use super::*;
use proptest::prelude::*;

fn question() -> Question {
    Question {
        operation: Operation::Precheck(4711),
        uid: 5000,
        gid: 5001,
        lock: 20,
        answer: 5000,
        asks_again: true,
        limits: Limits { bytes: Some(1 << 40), messages: None },
        rules: CountRules { count_trash: true },
        home: PathBuf::new(),
        path: "/var/mail/example.org/anna/Maildir".into(),
    }
}

fn with(change: impl FnOnce(&mut Question)) -> Question {
    let mut question = question();
    change(&mut question);
    question
}

#[test]
fn packets_are_read_as_they_were_written() {
    let usage = Usage { bytes: 7, messages: 1 };
    for question in [
        question(),
        with(|question| question.operation = Operation::Renew),
        with(|question| question.asks_again = false),
        with(|question| question.operation = Operation::Count(None)),
        with(|question| question.operation = Operation::Count(Some(usage))),
        with(|question| question.operation = Operation::Count(Some(Usage::default()))),
        with(|question| {
            question.operation = Operation::Make;
            question.home = "/var/mail/example.org/anna".into();
        }),
    ] {
        let bytes = question.bytes();
        assert!(bytes.len() <= MOST_QUESTION);
        assert_eq!(Question::parse(&bytes), Ok(question));
    }
    let over = Over { kind: Kind::Messages, limit: 10, by: 1, usage };
    for answer in [
        Answer::Space(Space::Missing),
        Answer::Space(Space::Fits),
        Answer::Space(Space::Over(over)),
        Answer::Space(Space::Over(Over { kind: Kind::Bytes, ..over })),
        Answer::Renewed(true),
        Answer::Counted(Counted::Missing),
        Answer::Counted(Counted::Unchanged),
        Answer::Counted(Counted::Now(usage)),
        Answer::Made(false),
        Answer::Locked,
        Answer::Late,
        Answer::Failed("why".into()),
    ] {
        assert_eq!(Answer::parse(&answer.bytes()), Ok(answer));
    }
}

#[test]
fn relative_paths_and_paths_with_dots_are_rejected() {
    for path in ["", "var/mail", "./anna", "/var/mail/../../etc", "/var/mail/..", "/a\0b"] {
        let asked = with(|question| question.path = path.into());
        assert_eq!(Question::parse(&asked.bytes()), Err(Malformed::Path), "{path:?}");
        let asked = with(|question| {
            question.operation = Operation::Make;
            question.home = path.into();
        });
        assert_eq!(Question::parse(&asked.bytes()), Err(Malformed::Path), "{path:?}");
    }
    let long = with(|question| question.path = format!("/{}", "x".repeat(MOST_PATH)).into());
    assert_eq!(Question::parse(&long.bytes()), Err(Malformed::Path));
}

#[test]
fn a_question_of_the_wrong_length_is_rejected() {
    let bytes = question().bytes();
    for length in 0..bytes.len() {
        assert!(Question::parse(&bytes[..length]).is_err(), "{length}");
    }
    assert_eq!(Question::parse(&[&bytes[..], b"x"].concat()), Err(Malformed::Form));
    assert_eq!(Question::parse(&[&[9], &bytes[1..]].concat()), Err(Malformed::Version));
    let long = with(|question| question.answer = u32::MAX);
    assert_eq!(Question::parse(&long.bytes()).unwrap().answer, LONGEST);
}

#[test]
fn a_reason_is_one_line_of_bounded_length() {
    let answer = Answer::Failed("ü\n".repeat(5000)).bytes();
    assert!(answer.len() <= MOST_ANSWER);
    let Ok(Answer::Failed(why)) = Answer::parse(&answer) else { panic!("no reason") };
    assert!(why.starts_with("ü ü ") && !why.contains('\n'));
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(question) = Question::parse(&bytes) {
            prop_assert_eq!(question.bytes(), bytes.clone());
        }
        let _ = Answer::parse(&bytes);
    }

    #[test]
    fn a_changed_question_is_rejected_or_different(place in 0usize..98, byte in any::<u8>()) {
        let mut bytes = question().bytes();
        prop_assume!(bytes.len() == 98 && bytes[place] != byte);
        bytes[place] = byte;
        if let Ok(read) = Question::parse(&bytes) {
            prop_assert_ne!(read, question());
        }
    }
}
