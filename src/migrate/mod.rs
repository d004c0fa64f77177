//! The database side of the watchdog, and the migration itself, in the app's own interpreter: the contract.
//!
//! Two programs come from one bundle of Python modules (the folder of this file), started as a worker is (see
//! [`crate::worker`]): `python -c BOOTSTRAP NAME` as the app's user, in its directory and environment, with 0
//! `/dev/null`, 1 and 2 the output, 3 the bundle, 4 the orders, 5 control, and no other descriptor.
//!
//! | mode | what it does | how long it lives |
//! | --- | --- | --- |
//! | `watch` | the database side: connects twice, plans, locks, looks, cancels, verifies | one database of one run |
//! | `run` | Django's `migrate` with hooks that tell its progress and set its guards | one attempt |
//!
//! # Orders (descriptor 4)
//!
//! ```json
//! {"contract": 1, "mode": "watch", "app": "shop", "tag": "ostler:shop:web1:3f2a",
//!  "database": {"alias": "default"},
//!  "command": "django", "lock_file": "/run/ostler/locks/shop",
//!  "guards": {"lock_timeout_seconds": null, "overrides": {"shop.0007_price": {"lock_timeout_seconds": 5.0}}},
//!  "marker": {"release": "/srv/shop/releases/42", "host": "web1"}}
//! ```
//!
//! `database` is `{"alias": NAME}` or `{"url": "postgresql://…"}`; `command` is `django` or `other` (nothing is known
//! of its plan; `pending` is null). Mode `run` has the same fields. `tag` is the `application_name` of the run's own
//! connections, under 63 bytes: `ostler:APP:HOST:RUN`, shortened in APP and HOST; every backend with this tag is the
//! run's; those that begin with `ostler:APP:` are of an earlier run. The watching connections call themselves
//! `ostler-watch:APP:HOST:RUN`, so that they never take themselves for it.
//! Where `command` is `other`, ostlerd sets PGAPPNAME, PGOPTIONS and the like in the environment of the command.
//! `marker` is who runs, for the table `ostler_migrations` (see `marker.py`), or null where nothing is kept there.
//! `serving`, for mode `watch` alone, is `{"tables": TEXT or null}`: what the code that serves uses of the database, as one of its
//! workers has told it; it is left out where none serves. With it `pending` has an `outlook`
//! ([`Outlook`](crate::supervise::Outlook)): in `opened` of a database that is ahead of the code, in `locked` also of what is pending.
//! `"django": {"entry": "shop.wsgi:application", "args": [], "certain": false}` is there where the app has no manage.py: its module is
//! loaded, as a worker loads it, up to where it sets Django up. Where it does not, `opened` has the reason as `none` in its
//! `seen` ([`DjangoSeen`](crate::supervise::DjangoSeen)), and the program does nothing more. `"migrated": ["default"]` has `seen` name
//! the other entries of `DATABASES` in which something is pending.
//! With `"plan": true` the outlook is all there in `opened`, and has on PostgreSQL what each operation locks.
//! `lock_file` is used where the database has no lock of its own and is no file (never for the three supported ones).
//!
//! # What `watch` is told on control, one JSON object a line, and what it answers
//!
//! | order | answers |
//! | --- | --- |
//! | (its start) | `{"event": "opened", "vendor": "postgresql", "version": "15.14", "unwatched": null, "lock_timeout": 1.5, "guards": [["lock_timeout", "1s"]], "warnings": [], "pending": {"migrations": [{"name": "shop.0007_price", "atomic": true, "operations": 3}], "ahead": []}, "owed": null}` |
//! | `{"do": "lock", "resumes": false}`; true where the command runs already | `{"event": "busy", "holder": "web2 (pid 4711, since 12 s)", "quiet_seconds": 0.4}` every second or so, then `{"event": "locked", "pending": {…}, "swept": [BACKEND…], "dirty": null, "owed": null, "warnings": []}`, where `dirty` is what an earlier run on any host left half done ([`Marked`](crate::supervise::Marked)), and `owed` is `new` or `earlier` where the command is to run though nothing is pending ([`Owed`](crate::supervise::Owed), and see `codes.py`) |
//! | `{"do": "look", "every_seconds": 0.25, "place": 7}` | `{"event": "look", "place": 7, …}` ([`DatabaseLook`](crate::supervise::DatabaseLook)) again and again; 0 stops it |
//! | `{"do": "cancel"}` | `{"event": "cancelled", "backends": 1}` |
//! | `{"do": "end_backends"}` | `{"event": "backends_gone"}` once none with the tag is left |
//! | `{"do": "verify", "pending": {…}, "migration": NAME or null, "at": STEP or null, "failed": true}` | `{"event": "verified", …}` ([`Report`](crate::supervise::Report)) |
//! | `{"do": "resolve"}` | `{"event": "resolved", "holder": null, "cleared": [WORDS…]}`: what the table had is gone, unless somebody has the lock |
//! | `{"do": "quit"}`, or end of file | ends: its connections close, its lock is let go |
//!
//! Once it is open, it says `{"event": "alive"}` every second: one that stands still is replaced after 5 s.
//!
//! At any time `{"event": "failed", "kind": "unreachable", "message": …, "traceback": …}`
//! ([`Trouble`](crate::supervise::Trouble)), after which it exits 1. It answers every order within 5 s, but for `lock`
//! (polls) and `end_backends` (waits for rollbacks); while it waits it goes on reading orders. A lost connection is
//! made anew for up to 5 s where that loses nothing (looking, verifying); a lost lock while the command runs is told as
//! `failed` of kind `unreachable`.
//!
//! # What `run` says on control
//!
//! Steps as they come: `{"event": "step", "at": "migration", "name": "shop.0007_price", "number": 1, "of": 3,
//! "atomic": true}`, then `operation`, `committing`, `recording`, `applied`, `after`
//! ([`Step`](crate::supervise::Step)), or once `unseen` where this Django cannot tell; before a failed end
//! `{"event": "failed", "kind": "lock", "message": …, "traceback": …, "blockers": [BACKEND…]}`
//! ([`CommandFailure`](crate::supervise::CommandFailure)).
//! Its exit status is Django's own. What Django prints goes to its output as always.
//!
//! No line is longer than 64 KiB, but what `watch` says may take 1 MiB: a new database lacks every migration of its apps,
//! and they may be thousands. A dead ostlerd is no error for `run`: it goes on, and whoever comes next sweeps.

mod bundle;
mod message;
mod orders;

pub use bundle::bundle;
pub use message::{LINE_LIMIT, RunMessage, WatchMessage, WatchOrder};
pub use orders::{
    DatabaseOrder, DjangoOrder, Guards, MarkerOrder, MigrateMode, MigrateOrders, Names, OverrideOrder,
    Serving,
};
