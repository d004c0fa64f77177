//! What matters most, on Debian 12 as well; `make test-systemd` tries all of it there.

use crate::machine::Debian;

use super::{guide, images, packages, stops, survival, unit};

macro_rules! on_debian_12 {
    ($($room:ident::$law:ident;)*) => {$(
        #[test]
        fn $law() {
            Debian::Twelve.try_on($room::$law);
        }
    )*};
}

on_debian_12! {
    guide::the_guide_is_true_from_the_first_line_to_the_last;
    images::an_image_runs_as_any_release_does_whatever_happens_to_ostlerd;
    packages::a_package_comes_starts_goes_and_leaves_what_it_should;
    packages::an_upgrade_touches_no_worker_and_loses_nothing_also_where_the_new_ostlerd_cannot_take_over;
    stops::a_crash_is_no_stop_and_leaves_everything;
    stops::an_ostlerd_that_dies_while_it_drains_leaves_nothing_and_loses_no_request;
    survival::restarts_of_the_unit_lose_nothing_and_replace_every_worker;
    survival::kills_of_ostlerd_also_within_rollouts_lose_nothing;
    unit::a_stop_drains_for_as_long_as_ostlerd_gives_and_leaves_nothing;
    unit::an_ostlerd_whose_loop_stands_still_is_ended_and_started_again;
}
