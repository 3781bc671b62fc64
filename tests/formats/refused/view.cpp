#include <flux/cache/serial.hpp>

#include <string_view>

const flux::cache::Type& wrong() { return flux::cache::type_of<std::string_view>(); }
