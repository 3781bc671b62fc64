// database/sqlite_engine.hpp - SQLite behind the engine's interface; the only place that names it is the .cpp.
#pragma once
#include <flux/cache/stores/database.hpp>

#include <memory>

#include "engine.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

std::unique_ptr<Engine> make_sqlite_engine(SqliteConnection options);

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
