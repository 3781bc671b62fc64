// Frames of texts: written where the caller wants them, for batches, which would else make a string for each; and read
// for who wants a number.
#pragma once
#include <flux/cache/frame.hpp>

#include <cstddef>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// How long the frame of a text is that stands in it as it is; 0: it may be shortened, is too long, or gets no frame,
/// and `encode_text_frame` has to see to it.
std::size_t text_frame_size(const FrameOptions& options, std::string_view text) noexcept;
/// Writes such a frame, as `encode_text_frame` makes it.
void write_text_frame(std::string_view text, char* to) noexcept;
/// `with_text_frame` for who wants `wanted`, which the errors then name.
Result<void> with_text_frame_for(const Type& wanted, std::string_view bytes, const Limits& limits, const Format* plain,
                                 FunctionRef<void(std::string_view text)> deliver);

/// A type's name as errors tell it.
inline std::string_view name_of(const Type& type) noexcept {
  return type.lane == Lane::text ? std::string_view("std::string") : type.name;
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
