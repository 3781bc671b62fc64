// What composites put around their parts and themselves. Breakers are not among it: what can be out of reach comes with
// its own.
#pragma once
#include <flux/cache/layers/deadline.hpp>
#include <flux/cache/layers/owing.hpp>
#include <flux/cache/layers/recovering.hpp>

#include "composite_store.hpp"
