// See timeline.hpp. Plain vectors; names are few, so that a number is found by looking through them.
#include "sim/timeline.hpp"

#include <algorithm>
#include <tuple>

namespace runcast {

namespace {

auto sort_key(const Span& s) { return std::tuple(s.resource, s.start, s.end, s.category, s.label); }

void add_up(std::vector<Duration>& totals, const Span& s) {
  totals[static_cast<std::size_t>(s.category)] += s.end - s.start;
}

}  // namespace

std::int32_t Timeline::number_of(std::vector<std::string>& names, std::string_view name) {
  const auto found = std::ranges::find(names, name);
  const auto number = static_cast<std::int32_t>(found - names.begin());
  if (found == names.end()) names.emplace_back(name);
  return number;
}

void Timeline::record(std::int32_t resource, std::int32_t category, Time start, Time end,
                      std::int64_t label) {
  INVARIANT(resource >= 0 && static_cast<std::size_t>(resource) < resources_.size());
  INVARIANT(category >= 0 && static_cast<std::size_t>(category) < categories_.size());
  INVARIANT(start <= end);
  spans_.push_back({resource, category, label, start, end});
}

std::vector<Span> Timeline::sorted() const {
  std::vector<Span> spans = spans_;
  std::ranges::sort(spans, {}, sort_key);
  return spans;
}

// In sorted order a span overlaps an earlier one of its resource if it overlaps the one that ends last.
std::optional<std::pair<Span, Span>> Timeline::overlap() const {
  const std::vector<Span> spans = sorted();
  const Span* last = nullptr;
  for (const Span& s : spans) {
    if (last != nullptr && last->resource == s.resource) {
      if (s.start < last->end) return std::pair(*last, s);
      if (s.end < last->end) continue;
    }
    last = &s;
  }
  return std::nullopt;
}

std::vector<Duration> Timeline::totals() const {
  std::vector<Duration> totals(categories_.size());
  for (const Span& s : spans_) add_up(totals, s);
  return totals;
}

std::vector<Duration> Timeline::totals(std::int32_t resource) const {
  std::vector<Duration> totals(categories_.size());
  for (const Span& s : spans_)
    if (s.resource == resource) add_up(totals, s);
  return totals;
}

std::uint64_t Timeline::digest() const {
  // Names instead of numbers: which number a name got depends on who came first.
  const auto key = [this](const Span& s) {
    const std::string_view resource = resources_[static_cast<std::size_t>(s.resource)];
    const std::string_view category = categories_[static_cast<std::size_t>(s.category)];
    return std::tuple(resource, s.start, s.end, category, s.label);
  };
  std::vector<Span> spans = spans_;
  std::ranges::sort(spans, {}, key);
  std::uint64_t hash = fnv1a(static_cast<std::uint64_t>(spans.size()), kFnvStart);
  for (const Span& s : spans) {
    const auto [resource, start, end, category, label] = key(s);
    for (const std::string_view name : {resource, category}) {
      hash = fnv1a(static_cast<std::uint64_t>(name.size()), hash);  // "ab" + "c" is not "a" + "bc"
      hash = fnv1a(name, hash);
    }
    for (const std::int64_t value : {start.ns, end.ns, label})
      hash = fnv1a(static_cast<std::uint64_t>(value), hash);
  }
  return hash;
}

std::uint64_t fnv1a(std::string_view bytes, std::uint64_t hash) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

std::uint64_t fnv1a(std::uint64_t value, std::uint64_t hash) {
  for (int byte = 0; byte < 8; ++byte, value >>= 8) hash = (hash ^ (value & 0xff)) * 0x100000001b3;
  return hash;
}

}  // namespace runcast
