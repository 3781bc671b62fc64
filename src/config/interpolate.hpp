// config/interpolate.hpp - ${NAME} and ${NAME:fallback} in the texts of a configuration.
#pragma once
#include <flux/cache/settings.hpp>

#include <string>

#include "config/problems.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// The value of a variable, or null. Valid until the environment changes.
using Variable = const char* (*)(const char* name);

/// Replaces the variables in every text (not in keys), each once: what a value holds is taken as it is. `$${` becomes
/// `${`. A mistake is a variable that is neither set nor has a fallback, one whose value refers to itself, a name that
/// is none, a brace that is missing, and a result over 16 MiB in all.
void interpolate(Settings& tree, Variable variable, Problems& problems);

/// What the text itself holds: references are replaced by their fallback, or by nothing.
Settings without_environment(Settings tree);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
