// Numbers, counts, quantities of every dimension and rates: what was understood is spelled so that it reads back to the
// same value.
#include "sim/quantity.hpp"

#include <array>

#include "tests/fuzz/targets.hpp"

namespace runcast::fuzz {
namespace {

using namespace detail;

template <class T, class Read>
T understood(std::string_view text, Read read) {
  const Reading<T> first = read(text);
  if (!first) return T{};
  const Reading<T> again = read(first.echo);
  INVARIANT(again && again.value == first.value);
  return first.value;
}

}  // namespace

void quantity(std::string_view input) {
  (void)understood<double>(input, read_number);
  (void)understood<std::int64_t>(input, read_count);
  for (const UnitTable* table : std::array{&kBytesUnits, &kBandwidthUnits, &kSecondsUnits, &kFlopRateUnits,
                                           &kWattsUnits, &kDollarsUnits}) {
    const auto read = [&](std::string_view text) { return read_quantity(text, *table); };
    const double value = understood<double>(input, read);
    INVARIANT(read(write_quantity(value, *table)).value == value);
  }
  const Reading<RatePer> rate = read_event_rate(input);
  if (!rate) return;
  INVARIANT(read_event_rate(rate.echo).value.rate == rate.value.rate);
  const Reading<RatePer> spelled = read_event_rate(write_event_rate(rate.value));
  INVARIANT(spelled && spelled.value.rate == rate.value.rate && spelled.value.per == rate.value.per);
}

}  // namespace runcast::fuzz
