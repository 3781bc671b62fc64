// core/rooms.hpp - the rooms this library was built with; the definitions are generated from the folders under src/.
#pragma once

namespace flux::cache {
inline namespace v1 {

class DriverTable;
class FormatRegistry;
class CompressorRegistry;
class TransportTable;

namespace detail {

/// Adds the driver of every store that was built; each calls its `register_store_<name>(DriverTable&)`.
void register_stores(DriverTable& into);
/// Likewise for formats: `register_format_<name>(FormatRegistry&)`.
void register_formats(FormatRegistry& into);
/// Likewise for compressors: `register_compressor_<name>(CompressorRegistry&)`.
void register_compressors(CompressorRegistry& into);
/// Likewise for what is spoken to servers through: `register_transport_<name>(TransportTable&)`.
void register_transports(TransportTable& into);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
