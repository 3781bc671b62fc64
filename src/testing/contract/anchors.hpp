// Names one function in each file of the suites, so that a linker takes their tests out of the archive.
#pragma once

namespace flux::cache {
inline namespace v1 {
namespace testing {
namespace detail {

void link_values();
void link_conditions();
void link_lifetimes();
void link_counters();
void link_batches();
void link_spaces();
void link_tags();
void link_tag_model();
void link_keys();
void link_threads();
void link_restart();
void link_processes();
void link_flushes();
void link_model();

void link_typed();
void link_unreadable();
void link_verbs();
void link_verb_batches();
void link_verb_loads();
void link_verb_tags();
void link_verb_faults();
void link_verb_flushes();
void link_stale();
void link_races();
void link_locks();
void link_limits();
void link_scopes();
void link_chance();
void link_events();
void link_takeover();
void link_cancel();
void link_keep_alive();
void link_growth();

}  // namespace detail
}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
