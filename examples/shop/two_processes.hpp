// examples/shop/two_processes.hpp - the shop and its office, on a tiered store over redis: memory in each process, one
// server behind, and a backplane that tells the one what the other changed.
#pragma once
#include "catalogue.hpp"
#include "database.hpp"
#include "options.hpp"

namespace shop {

/// Starts the office as a process of its own, lets it change a price again and again, and shows when the shop saw it.
/// False where an old price was seen for too long, or again.
bool show_two_processes(Database& database, const Options& options);

/// The office: reads lines "PRODUCT CENTS" and answers "done" to each, once its call has returned.
int run_office(const Options& options);

}  // namespace shop
