// The step of unequal ranks on the screen: what they cost, who waited for whom, and the critical path by cause.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;

constexpr std::size_t kBar = 30;

std::string place_text(const Json& place) {
  return fmt::format("rank {} (stage {}, replica {}, tensor {})", number(number_of(place, "rank")),
                     number(number_of(place, "stage")), number(number_of(place, "replica")),
                     number(number_of(place, "tensor")));
}

std::string against_symmetric(const Json& unfolded, double time) {
  const double symmetric = number_of(unfolded, "symmetric_time_s");
  const double more = time / symmetric - 1;
  if (std::abs(more) < 5e-7) return "as long as the step of equal ranks";
  return fmt::format("{} {} than the step of equal ranks, {}", percent(std::abs(more)),
                     more > 0 ? "longer" : "shorter", time_text(symmetric));
}

std::string wait_table(const Json& waits) {
  Columns table;
  table.column("ranks waited for", Align::left);
  table.column("ranks", Align::right);
  table.column("mean", Align::right);
  table.column("longest", Align::right);
  for (const Json& wait : waits) {
    const double ranks = number_of(wait, "ranks");
    if (ranks == 0) continue;
    table.row({text_of(wait, "for"), number(ranks), time_text(number_of(wait, "mean_s")),
               time_text(number_of(wait, "longest_s"))});
  }
  return table.empty() ? std::string() : table.text(2);
}

std::string cause_table(const Json& causes, const Style& style) {
  Columns table;
  table.column("critical path", Align::left);
  table.column("time", Align::right);
  table.column("share", Align::right);
  table.column("saves per second less", Align::right);
  table.column("", Align::left);
  for (const Json& cause : causes) {
    const double share = number_of(cause, "share");
    table.row({words_of(text_of(cause, "cause")), time_text(number_of(cause, "time_s")), percent(share),
               fixed(number_of(cause, "saved_per_second"), 2) + " s", bar(share, kBar, style)});
  }
  return table.text(2);
}

}  // namespace

std::string unfolded_part(const Json& document, const Style& style) {
  const Json& unfolded = part_of(document, "step.unfolded");
  if (!unfolded.is_object()) return {};
  std::string out = heading("ALL RANKS", style) + "   " + number(number_of(unfolded, "ranks")) + " clocks, " +
                    against_symmetric(unfolded, number_of(document, "step.time_s")) + "\n";
  out += "  ends last: " + place_text(part_of(unfolded, "last")) + "\n";
  if (const Json& slowest = part_of(unfolded, "slowest"); slowest.is_object())
    out += fmt::format("  slows the critical path most: {}, by {}\n", place_text(slowest),
                       time_text(number_of(unfolded, "slowest_adds_s")));
  if (const Json& last = part_of(unfolded, "waited_for"); last.is_object())
    out += "  other replicas waited longest for the gradients of " + place_text(last) + "\n";
  out += wait_table(part_of(unfolded, "waits"));
  const Json& causes = part_of(unfolded, "critical_path.causes");
  if (causes.is_array() && !causes.empty()) out += "\n" + cause_table(causes, style);
  return out;
}

}  // namespace runcast
