// flux/cache/serial.hpp - how values become bytes, and bytes values.
//
// A type describes itself once, as a walk over a Writer or a Reader; every format (native, msgpack, json) implements
// the two. Known already: numbers, bool, enums, strings and bytes, chrono, optional, unique_ptr and shared_ptr, pair
// and tuple, variant, all containers of the standard that know their size (and others of their shape), and structs:
// plain aggregates as they stand, classes by FLUX_CACHE_FIELDS. For any other type, specialise `Codec`.
//
// Neither side throws: the first `fail` is kept, from then on a Writer writes nothing of use and a Reader answers zeros
// and empty containers, so that a walk ends by itself. Not thread-safe; one object is one document.
#pragma once
#include <flux/cache/codec.hpp>
#include <flux/cache/reader.hpp>
#include <flux/cache/reflect.hpp>
#include <flux/cache/type_of.hpp>
#include <flux/cache/writer.hpp>
