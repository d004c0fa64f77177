//! Seeds that stand for something: each once broke a law, or is a rare case.

/// Tried every time.
pub(crate) const SEEDS: &[u64] = &[
    9,
    14,
    27,
    73,
    162,
    502,
    577,
    591,
    100_004,
    100_017,
    100_037,
    100_096,
    100_097,
    100_554,
    100_728,
    102_289,
    // Removed while its queue is emptied, and back with a plan that is refused.
    1_795_471_439_003_076,
    // Removed and configured again before it had left, then shut down: the next ostlerd runs it.
    6_795_771_439_005_372,
    7_795_771_439_009_059,
    // Both workers that served are found hung at the same look.
    9_895_771_439_077_625,
    // A rollback ends beside workers of a rollout that was overtaken before.
    1_195_771_439_109_148,
    // The most that a range allows is raised while everybody has long been busy.
    1_795_729_639_002_999,
    // A worker did not boot, and before another had, fewer were wanted: later the load asks for more.
    1_795_730_477_005_716,
    200_008,
    200_012,
    200_047,
    200_161,
    201_009,
    201_781,
    202_316,
    203_032,
    1_013_927,
    // Migrations: a plain one, a lost answer, nothing that serves.
    136,
    1_795_463_810_000_809,
    1_795_464_767_012_052,
    // A migration asked for alone that waits beside the rollout of its own release.
    1_795_471_439_050_381,
    // ostlerd crashes in a rollback: of the old release one worker serves by then, and another has died.
    1_795_476_421_013_876,
    // ostlerd crashes, and most that served has died by then; a worker that was told to drain serves all the same.
    2_795_571_439_054_177,
    2_795_571_439_090_735,
    // A person's word is written down in an app that is stopped when ostlerd is asked to leave.
    1_795_471_439_447_381,
    // A release is named while another is looked at; a link that was being turned when ostlerd fell is stuck; a worker dies,
    // or is scaled away, while what was kept is written down.
    1_795_727_778_001_943,
    1_795_727_778_004_324,
    1_795_727_778_000_977,
    1_795_727_996_014_920,
    // The load keeps all busy at the most that there may be, and then ostlerd is shut down.
    1_795_731_782_000_620,
    // Taken away while its link cannot be put back, then configured again, and the link moved by hand.
    1_795_731_883_006_893,
    // A number given by hand is taken back in a rollout to an app of fewer workers.
    1_795_733_363_010_690,
    // Stopped, released anew, taken away and configured again, before it was said that nothing came of the release.
    1_800_000_000_121_433,
    // The zygote of what is brought in dies while nobody is there, and with it the rollout.
    1_930_000_000_026_533,
    // Stopped, released anew and serving; then ostlerd is shut down before that release was proven, and dies.
    2_010_000_000_022_674,
    // ostlerd dies while it turns a link.
    2_130_000_000_009_971,
    // Taken away while its link cannot be put back, configured again, and stopped before it is proven.
    2_210_000_000_013_356,
    // The last zygote that a rollback may try dies while nobody is there.
    2_330_000_000_033_653,
    // A first start becomes ready in the moment in which its machine, drained, begins to stop.
    1_795_965_298_039_383,
    // What hangs on `migrate` has failed in the second database, and a person says that something is put right.
    1_795_965_298_165_080,
    // New migrations come between two tries of a run that began with none.
    1_795_965_298_229_772,
    // What serves unasked has its databases asked for longer than it may stay unasked.
    1_795_972_561_018_807,
    // What was left is removed by the second look, for the first one's answer was lost.
    1_795_972_561_138_813,
    // An app comes back that nobody can look at while it stops.
    1_796_029_679_008_418,
    // The release that was to be brought in cannot be named, and nothing serves: nobody waits for it any more.
    3_100_000_010_447,
    // ostlerd is told to end before a release is looked at that a restart has to bring in.
    5_700_000_023_854,
    // ostlerd is killed while it ends, and a command has just ended by itself.
    6_100_000_042_683,
    // A link that could not be moved back is moved by somebody else, and who names a release then is overtaken by a stop.
    1_796_031_751_003_401,
    // What somebody has configured is brought in while a look that nobody has asked for waits for its turn.
    1_700_000_032_682,
    // ostlerd is killed while it ends, an app of it has stopped by then, and the next one's first reading is refused.
    1_700_000_003_579,
    // A zygote of what is brought in fails to load the app while its workers, fewer than before, are watched.
    1_796_038_905_000_698,
    // An app is asked to start, and ostlerd is told to stop before its migration has ended.
    1_796_053_465_003_742,
    // ostlerd is killed while an app ends with what it was bringing in, and its hooks' processes are there.
    1_796_053_465_000_921,
    // A worker is heard to be forked when its app stops already.
    1_796_053_465_018_372,
    // The last hook has run, and ostlerd is killed before the app has stopped.
    5_000_005_023,
    // The configuration is read while one link is moved back, and another could not be.
    5_000_022_645,
    // A stop and a restart wait for an ostlerd that makes room and stays.
    5_000_031_538,
    // A worker is forked while ostlerd makes room, and it has to stop then.
    5_000_071_871,
    // Who watches in the place of another has the lock when the migration has ended.
    5_000_073_488,
];
