//! Backups, and moving from one database to another: what comes out is what
//! went in, and nothing that is there is ever written over.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::fixtures::{Business, all_opportunities, default_pipeline, endpoints};
use crate::harness::{Client, Engine, Server, eventually};

const ENGINES: [Engine; 2] = [Engine::Sqlite, Engine::Postgres];

/// How many records each bulk call makes.
const BULK: usize = 20;

/// Runs a command of the binary that must succeed.
#[track_caller]
fn run(server: &Server, arguments: &[&str]) {
    let output = server.cli(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
}

/// Runs one that must fail, and say these words.
#[track_caller]
fn refused(server: &Server, arguments: &[&str], words: &[&str]) {
    let output = server.cli(arguments);
    assert!(!output.status.success(), "{arguments:?} went through");
    for word in words {
        assert!(
            said(&output).contains(word),
            "{arguments:?} does not say {word}: {}",
            said(&output)
        );
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn name(path: &Path) -> &str {
    path.to_str().expect("a name of our own")
}

/// Where a backup of this server may go.
fn file(server: &Server, name: &str) -> PathBuf {
    server.data_dir().with_file_name(name)
}

#[track_caller]
fn backup(server: &Server) -> PathBuf {
    let file = file(server, "backup.db");
    run(server, &["backup", name(&file)]);
    file
}

/// An installation of this engine made of the backup, served.
#[track_caller]
fn restored(engine: Engine, backup: &Path, key: &str) -> Server {
    let server = Server::not_started(engine, key);
    run(&server, &["restore", name(backup)]);
    server.start_again();
    server
}

/// An installation of this engine into which everything was copied, served.
#[track_caller]
fn copied(from: &Server, engine: Engine) -> Server {
    let server = Server::not_started(engine, from.key());
    run(
        from,
        &[
            "copy",
            "--from",
            &from.database(),
            "--to",
            &server.database(),
        ],
    );
    server.start_again();
    server
}

/// A business whose records hold what one of the engines might spoil.
fn unusual_business(client: &Client) -> Business {
    let business = Business::found(client);
    let deep = (0..60).fold(json!("🪜"), |below, _| json!({ "b": [below], "a": null }));
    let records = [
        json!({"name": "Zoë's 🏡 \"fence\" \\ 漢字\n\tО́льга"}),
        json!({"name": "Largest", "value": 12_345_678_901.25, "tags": ["🪵", "a \"b\""]}),
        json!({"name": "Least", "value": -0.0001, "expected_close_date": "0001-01-01"}),
        json!({"name": "Deep", "metadata": {
            "z": deep, "a": 12_345_678_901_234_567_890_u64, "": "", "float": 0.1, "list": [1, -2, null],
        }}),
        json!({"name": "Placed", "stage_id": business.stages[1], "customer_id": business.company}),
    ];
    for record in records {
        client.post("/opportunities", record).expect(201);
    }
    let noted = json!({"notes": "line\r\n".repeat(2000), "status": "won"});
    let path = format!("/opportunities/{}", business.opportunity);
    client.patch(&path, noted).expect(200);
    business
}

/// What every endpoint that reads answers, and some searches. Without what
/// counts on from call to call.
fn answers(client: &Client, business: &Business) -> Vec<(String, String)> {
    let mut answers = Vec::new();
    for endpoint in endpoints(client) {
        // What has to be asked for something tells nothing of what is kept.
        if endpoint.method() == "GET"
            && endpoint
                .tool()
                .is_some_and(|tool| tool != "describe_resource")
        {
            let path = business.fill(endpoint.path());
            let answer = client.get(&path).expect(200).text;
            answers.push((path, lasting(answer)));
        }
    }
    for query in ["fence", "fenec", "漢字", "engine", "ee", "zoe"] {
        for path in [
            "/search",
            "/opportunities/search",
            "/contacts/search",
            "/companies/search",
        ] {
            let answer = client
                .post(path, json!({ "query": query }))
                .expect(200)
                .text;
            answers.push((format!("{path} {query}"), lasting(answer)));
        }
    }
    answers
}

fn lasting(mut answer: String) -> String {
    for counting in ["\"credits_remaining\":", "\"last_used_at\":"] {
        let mut from = 0;
        while let Some(found) = answer[from..].find(counting) {
            from += found + counting.len();
            let value = answer[from..]
                .find([',', '}'])
                .expect("an end of the value");
            answer.replace_range(from..from + value, "_");
        }
    }
    answer
}

#[track_caller]
fn assert_same_answers(one: &[(String, String)], other: &[(String, String)]) {
    assert_eq!(one.len(), other.len());
    for ((path, one), (_, other)) in one.iter().zip(other) {
        assert_eq!(one, other, "{path}");
    }
}

/// What writers were told so far.
#[derive(Default)]
struct Told {
    singles: Mutex<Vec<String>>,
    bulks: Mutex<Vec<String>>,
}

/// Creates opportunities, singly and in bulk, until it is told to stop.
fn create_until(client: &Client, stage: &str, told: &Told, next: &AtomicUsize, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number.is_multiple_of(5) {
            let name = format!("bulk {number}");
            let records = vec![json!({"name": name, "stage_id": stage}); BULK];
            client
                .post("/opportunities/bulk-create", json!({ "records": records }))
                .expect(200);
            told.bulks.lock().expect("a lock").push(name);
        } else {
            let body = json!({"name": format!("single {number}"), "stage_id": stage});
            let id = client.post("/opportunities", body).expect(201).id();
            told.singles.lock().expect("a lock").push(id);
        }
    }
}

/// Everything that was answered before the copy began is in it, and whatever
/// else is in it is whole.
#[track_caller]
fn assert_whole(found: &[Value], singles: &[String], bulks: &[String]) {
    for id in singles {
        assert!(found.iter().any(|one| one["id"] == **id), "{id} is missing");
    }
    for one in found {
        let cards = one["placements"].as_array().map(Vec::len);
        assert_eq!(cards, Some(1), "{one} came without its card");
    }
    let mut names: Vec<_> = found
        .iter()
        .filter_map(|one| one["name"].as_str())
        .filter(|name| name.starts_with("bulk"))
        .collect();
    names.sort_unstable();
    for some in names.chunk_by(|one, next| one == next) {
        assert_eq!(some.len(), BULK, "{} is there in part", some[0]);
    }
    for name in bulks {
        assert!(names.contains(&name.as_str()), "{name} is missing");
    }
}

on_both_engines! {
    fn a_backup_made_under_load_holds_all_that_was_answered_before_and_nothing_in_part(server: &Server) {
        let client = server.client();
        let (_, stages) = default_pipeline(&client);
        let (told, next, stop) = (Told::default(), AtomicUsize::new(1), AtomicBool::new(false));
        let (singles, bulks, file) = std::thread::scope(|scope| {
            for stage in stages.iter().take(4) {
                let (client, told, next, stop) = (&client, &told, &next, &stop);
                scope.spawn(move || create_until(client, stage, told, next, stop));
            }
            let enough = |count: usize| (told.singles.lock().expect("a lock").len() >= count).then_some(count);
            let before = eventually("enough was answered", || enough(100));
            let singles = told.singles.lock().expect("a lock").clone();
            let bulks = told.bulks.lock().expect("a lock").clone();
            let file = backup(server);
            eventually("writes go on", || enough(before + 20));
            stop.store(true, Ordering::Relaxed);
            (singles, bulks, file)
        });
        assert!(all_opportunities(&client).len() > singles.len());
        for engine in ENGINES {
            let restored = restored(engine, &file, server.key());
            assert_whole(&all_opportunities(&restored.client()), &singles, &bulks);
        }
    }

    fn a_restored_installation_answers_as_the_one_that_was_backed_up(server: &Server) {
        let business = unusual_business(&server.client());
        let before = answers(&server.client(), &business);
        let file = backup(server);
        for engine in ENGINES {
            let restored = restored(engine, &file, server.key());
            assert_same_answers(&before, &answers(&restored.client(), &business));
            // It goes on where that one stopped.
            let made = restored.client().post("/opportunities", json!({"name": "Next"})).expect(201);
            assert_eq!(made.data()["public_id"], "OPP-007");
        }
    }

    fn a_copy_answers_as_its_source_and_so_does_the_copy_of_a_copy(server: &Server) {
        let business = unusual_business(&server.client());
        let before = answers(&server.client(), &business);
        for engine in ENGINES {
            let there = copied(server, engine);
            assert_same_answers(&before, &answers(&there.client(), &business));
            let back = copied(&there, server.engine());
            assert_same_answers(&before, &answers(&back.client(), &business));
        }
    }

    fn a_backup_overwrites_no_file_and_leaves_none_beside_it(server: &Server) {
        let file = backup(server);
        let made = fs::read(&file).expect("the backup");
        refused(server, &["backup", name(&file)], &["exists already"]);
        assert_eq!(fs::read(&file).expect("the backup"), made);
        let folder = fs::read_dir(file.parent().expect("its folder")).expect("its folder");
        let left: Vec<_> = folder
            .map(|entry| entry.expect("an entry").file_name())
            .filter(|name| name.to_string_lossy().contains(".partial"))
            .collect();
        assert!(left.is_empty(), "{left:?} were left behind");
    }

    fn what_is_not_empty_is_neither_restored_nor_copied_into(server: &Server) {
        let id = server.client().post("/opportunities", json!({"name": "Fence"})).expect(201).id();
        let file = backup(server);
        refused(server, &["restore", name(&file)], &["not empty", "Nothing was changed"]);
        for engine in ENGINES {
            let other = Server::start(engine);
            let copy = ["copy", "--from", &other.database(), "--to", &server.database()];
            refused(server, &copy, &["not empty", "Nothing was changed"]);
        }
        server.client().get(&format!("/opportunities/{id}")).expect(200);
        server.client().post("/opportunities", json!({"name": "Deck"})).expect(201);
    }

    fn a_file_that_is_no_sound_backup_is_refused(server: &Server) {
        for number in 0..40 {
            let body = json!({"name": format!("Fence {number}"), "notes": "notes ".repeat(500)});
            server.client().post("/opportunities", body).expect(201);
        }
        let sound = fs::read(backup(server)).expect("the backup");
        let mut damaged = sound.clone();
        damaged[sound.len() / 2..sound.len() / 2 + 20_000].fill(0xA5);
        let files: [(&str, &[u8]); 5] = [
            ("text.db", b"This is no backup. ".as_slice()),
            ("empty.db", b"".as_slice()),
            ("short.db", &sound[..sound.len() / 2]),
            ("header.db", &sound[..100]),
            ("damaged.db", &damaged),
        ];
        let target = Server::not_started(server.engine(), server.key());
        for (name_of, content) in files {
            let path = file(server, name_of);
            fs::write(&path, content).expect("a file of our own");
            refused(&target, &["restore", name(&path)], &[name_of]);
        }
        refused(&target, &["restore", "missing.db"], &["no file missing.db"]);
        // Nothing of that has made the target unusable.
        run(&target, &["restore", name(&file(server, "backup.db"))]);
        target.start_again();
        assert_eq!(all_opportunities(&target.client()).len(), 40);
    }

    fn a_copy_of_what_is_not_there_makes_nothing(server: &Server) {
        let missing = file(server, "nothing");
        let target = file(server, "target");
        let copy = ["copy", "--from", name(&missing), "--to", name(&target)];
        refused(server, &copy, &["no database"]);
        assert!(!missing.exists() && !target.exists());
    }
}
