// What each resource did when: spans of simulated time with a category and a label. For traces, for totals by
// category, and for golden tests, which compare a digest.
// A resource does one thing at a time: its spans may touch, not overlap. Spans of length 0 are allowed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/units.hpp"

namespace runcast {

struct Span {
  std::int32_t resource = 0, category = 0;  // of Timeline::resource(), Timeline::category()
  std::int64_t label = 0;                   // the recorder's own: a micro-batch, a slot
  Time start, end;
  friend auto operator<=>(const Span&, const Span&) = default;
};

class Timeline {
 public:
  // The number of a name; a new name gets the next number.
  std::int32_t resource(std::string_view name) { return number_of(resources_, name); }
  std::int32_t category(std::string_view name) { return number_of(categories_, name); }
  const std::vector<std::string>& resources() const { return resources_; }
  const std::vector<std::string>& categories() const { return categories_; }

  // INVARIANT: both numbers are known, and end is not before start.
  void record(std::int32_t resource, std::int32_t category, Time start, Time end, std::int64_t label = 0);
  const std::vector<Span>& spans() const { return spans_; }  // in the order of recording

  // Spans by (resource, start, end, category, label).
  std::vector<Span> sorted() const;
  // Two spans of one resource that overlap; the first such pair of sorted().
  std::optional<std::pair<Span, Span>> overlap() const;
  // Time by category, indexed as categories(); of one resource, or of all together.
  std::vector<Duration> totals() const;
  std::vector<Duration> totals(std::int32_t resource) const;
  // 64-bit FNV-1a over the spans and their names, resources by name: it does not depend on the order in which
  // spans were recorded or names were numbered, nor on the machine.
  std::uint64_t digest() const;

 private:
  static std::int32_t number_of(std::vector<std::string>& names, std::string_view name);

  std::vector<std::string> resources_, categories_;
  std::vector<Span> spans_;
};

// FNV-1a, 64 bits (Fowler, Noll, Vo): of bytes, and of an integer as 8 bytes, least first.
inline constexpr std::uint64_t kFnvStart = 0xcbf29ce484222325;
std::uint64_t fnv1a(std::string_view bytes, std::uint64_t hash = kFnvStart);
std::uint64_t fnv1a(std::uint64_t value, std::uint64_t hash);

}  // namespace runcast
