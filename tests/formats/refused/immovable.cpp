#include <flux/cache/serial.hpp>

#include <mutex>

const flux::cache::Type& wrong() { return flux::cache::type_of<std::mutex>(); }
