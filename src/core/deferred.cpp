#include <flux/cache/deferred.hpp>

namespace flux::cache {
inline namespace v1 {

void Deferred::Tagged::flush() {
  home_.add([tags = tags_](const Repository& to) { return to.tags(tags).flush(); });
}

void Deferred::Tagged::flush_any() {
  home_.add([tags = tags_](const Repository& to) { return to.tags(tags).flush_any(); });
}

Deferred::Deferred(Repository repository) : repository_(std::move(repository)) {}
Deferred::Deferred(Deferred&&) noexcept = default;
Deferred& Deferred::operator=(Deferred&&) noexcept = default;
Deferred::~Deferred() = default;

void Deferred::forget(std::string_view key) {
  // What was not there is no failure.
  add([key = std::string(key)](const Repository& to) { return to.try_forget(key).ok(); });
}

void Deferred::forget_many(const Keys& keys) {
  for (const std::string_view key : keys.views()) forget(key);
}

void Deferred::flush() {
  add([](const Repository& to) { return to.flush(); });
}

bool Deferred::commit() {
  bool all = true;
  for (const Step& step : std::exchange(steps_, {})) all = step(repository_) && all;
  return all;
}

void Deferred::discard() noexcept { steps_.clear(); }
std::size_t Deferred::size() const noexcept { return steps_.size(); }
void Deferred::add(Step step) { steps_.push_back(std::move(step)); }

}  // namespace v1
}  // namespace flux::cache
