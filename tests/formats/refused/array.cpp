#include <flux/cache/serial.hpp>

const flux::cache::Type& wrong() { return flux::cache::type_of<int[3]>(); }
