// The step on the screen: its time and where it goes, its communication, the memory of each pipeline stage.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;
using Align = Columns::Align;

constexpr std::size_t kBar = 30;        // columns of a breakdown bar
constexpr std::size_t kMemoryBar = 32;  // columns that the capacity takes

struct MemoryKind {
  const char* key;
  const char* word;
  const char* unicode;
  const char* ascii;
};
constexpr std::array kMemoryKinds = {
    MemoryKind{"weights_gib", "weights", "█", "W"}, MemoryKind{"gradients_gib", "gradients", "▓", "G"},
    MemoryKind{"optimizer_gib", "optimizer", "▒", "O"},
    MemoryKind{"activations_gib", "activations", "░", "A"}, MemoryKind{"buffers_gib", "buffers", "·", "B"}};

// One stage as a bar stacked by kind, with the capacity as a mark at its column.
std::string memory_bar(const Json& stage, double capacity, const Style& style) {
  const double scale = static_cast<double>(kMemoryBar) / capacity;
  std::string bar;
  double sum = 0;
  std::size_t drawn = 0;
  const std::string mark = style.unicode ? "│" : "|";
  const auto draw = [&](const char* symbol) {
    if (drawn == kMemoryBar) bar += mark;
    bar += symbol;
    ++drawn;
  };
  for (const MemoryKind& kind : kMemoryKinds) {
    const double size = number_of(stage, kind.key);
    if (std::isfinite(size)) sum += size;
    const auto end =
        std::min<std::size_t>(static_cast<std::size_t>(std::lround(sum * scale)), kMemoryBar + 8);
    while (drawn < end) draw(style.unicode ? kind.unicode : kind.ascii);
  }
  if (drawn > kMemoryBar) return bar;
  return bar + std::string(kMemoryBar - drawn, ' ') + mark;
}

bool same_memory(const Json& a, const Json& b) {
  return std::all_of(kMemoryKinds.begin(), kMemoryKinds.end(), [&](const MemoryKind& kind) {
    return fixed(number_of(a, kind.key), 1) == fixed(number_of(b, kind.key), 1);
  });
}

std::string stage_range(const Json& first, const Json& last) {
  const std::string from = text_of(first, "stage");
  const std::string to = text_of(last, "stage");
  return from == to ? from : from + "-" + to;
}

// Stages in a row that look the same are one line.
std::string stage_table(const Json& stages, double capacity, const Style& style) {
  Columns table;
  table.column("stage", Align::left);
  for (const MemoryKind& kind : kMemoryKinds) table.column(kind.word, Align::right);
  table.column("total GiB", Align::right);
  table.column("", Align::left);
  for (std::size_t first = 0; first < stages.size();) {
    std::size_t last = first;
    while (last + 1 < stages.size() && same_memory(stages[first], stages[last + 1])) ++last;
    std::vector<std::string> cells = {stage_range(stages[first], stages[last])};
    for (const MemoryKind& kind : kMemoryKinds) cells.push_back(fixed(number_of(stages[first], kind.key), 1));
    cells.push_back(fixed(number_of(stages[first], "total_gib"), 1));
    cells.push_back(capacity > 0 ? memory_bar(stages[first], capacity, style) : std::string());
    table.row(std::move(cells));
    first = last + 1;
  }
  return table.text(2);
}

// How far the real step may be from the predicted one, and what that is known from.
std::string prediction_lines(const Json& prediction, const Style& style) {
  const double low = number_of(prediction, "time_low_s"), high = number_of(prediction, "time_high_s");
  if (!std::isfinite(low) || !std::isfinite(high)) return {};
  std::string out =
      fmt::format("  {} interval {}", level_of(prediction), range_text(time_text(low), time_text(high)));
  const double least = number_of(prediction, "mfu_low"), most = number_of(prediction, "mfu_high");
  if (std::isfinite(least) && std::isfinite(most))
    out += ", MFU " + range_text(percent(least), percent(most));
  if (const double rows = number_of(prediction, "measured_steps"); std::isfinite(rows))
    out += fmt::format("   from the errors on {} measured steps of {}", number(rows),
                       text_of(prediction, "like"));
  out += "\n";
  if (const std::string warning = text_of(prediction, "warning"); !warning.empty())
    out += fmt::format("  {}: {}\n", bad("beyond what was measured", style), warning);
  return out;
}

// One character for each slice of the step: how much of it the GPUs are busy.
std::string activity_lines(const Json& activity, const Style& style) {
  const Json& slices = part_of(activity, "slices");
  if (!slices.is_array() || slices.empty()) return {};
  constexpr std::array kLevels = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string line;
  for (const Json& slice : slices) {
    const double busy = number_of(slice, "busy");
    line += style.unicode ? std::string(kLevels[static_cast<std::size_t>(std::lround(busy * 8))])
                          : fmt::format("{}", std::min(9L, std::lround(busy * 10)));
  }
  std::string out = fmt::format("  GPUs busy over the step {}{}{} {}", style.unicode ? "▕" : "|", line,
                                style.unicode ? "▏" : "|", percent(number_of(activity, "busy")));
  for (const char* key : {"communication", "bubble", "loading", "other"})
    if (const double share = number_of(activity, key); share >= 0.0005)
      out += fmt::format(", {} {}", key, percent(share));
  return out + "\n";
}

}  // namespace

std::string step_part(const Json& document, const Style& style) {
  const Json& step = part_of(document, "step");
  const double time = number_of(step, "time_s");
  if (!std::isfinite(time)) return {};
  std::string out = heading("STEP", style) + "   " + time_text(time);
  const auto add = [&](const char* key, auto text, const char* unit) {
    if (const double value = number_of(step, key); std::isfinite(value)) out += "   " + text(value) + unit;
  };
  const auto plain = [](double value) { return number(value); };
  add("model_tflops_per_gpu", plain, " model TFLOP/s per GPU");
  add(
      "mfu", [](double value) { return "MFU " + percent(value); }, "");
  add(
      "hfu", [](double value) { return "HFU " + percent(value); }, "");
  add("tokens_per_s_per_gpu", plain, " tokens/s per GPU");
  out += "\n" + prediction_lines(part_of(step, "prediction"), style);

  const Json& breakdown = part_of(step, "breakdown_s");
  if (breakdown.is_object()) {
    Columns table;
    const std::string stage = text_of(step, "last_stage");
    table.column(
        stage.empty() ? "where the time goes" : "where the time goes (stage " + stage + ", which ends last)",
        Align::left);
    table.column("s", Align::right);
    table.column("share", Align::right);
    table.column("", Align::left);
    for (const auto& [key, value] : breakdown.items()) {
      const double seconds = value.is_number() ? value.get<double>() : 0;
      if (seconds == 0) continue;
      table.row(
          {words_of(key), fixed(seconds, 4), percent(seconds / time), bar(seconds / time, kBar, style)});
    }
    table.row({"sum", fixed(time, 4), percent(1), ""});
    out += table.text(2);
  }
  const double bubble = number_of(step, "bubble_fraction");
  const double over_ideal = number_of(step, "bubble_over_ideal");
  if (std::isfinite(bubble) || std::isfinite(over_ideal))
    out += fmt::format("  bubble {} of the step; {} over the ideal\n", percent(bubble), percent(over_ideal));
  out += activity_lines(part_of(step, "gpu_activity"), style);
  return out;
}

std::string communication_part(const Json& document, const Style& style) {
  const Json& rows = part_of(document, "step.communication");
  if (!rows.is_array() || rows.empty()) return {};
  Columns table;
  table.column("group", Align::left);
  table.column("collective", Align::left);
  for (const char* name : {"count", "bytes/rank", "time", "exposed"}) table.column(name, Align::right);
  for (const Json& row : rows)
    table.row({words_of(text_of(row, "group")), words_of(text_of(row, "collective")),
               number(number_of(row, "count")), bytes_text(number_of(row, "bytes_per_rank")),
               time_text(number_of(row, "time_s")), time_text(number_of(row, "exposed_s"))});
  return heading("COMMUNICATION", style) + "   of one rank in one step\n" + table.text(2);
}

std::string memory_part(const Json& document, const Style& style) {
  const Json& memory = part_of(document, "step.memory");
  if (!memory.is_object()) return {};
  const double capacity = number_of(memory, "capacity_gib");
  const double peak = number_of(memory, "peak_gib");
  const Json& fits = part_of(memory, "fits");
  if (!std::isfinite(peak))  // a result that tells the verdict alone
    return fits.is_boolean() && !fits.get<bool>()
               ? heading("MEMORY", style) + "   " + bad("does not fit", style) + ": " +
                     text_of(memory, "reason") + "\n"
               : std::string();
  std::string out = fmt::format("{}   peak {} GiB of {} GiB per GPU", heading("MEMORY", style),
                                fixed(peak, 1), fixed(capacity, 1));
  if (fits.is_boolean())
    out +=
        fits.get<bool>()
            ? ": " + good("fits", style) + fmt::format(", {} GiB left", fixed(capacity - peak, 1))
            : ": " + bad("does not fit", style) + fmt::format(", {} GiB too much", fixed(peak - capacity, 1));
  out += "\n";
  const bool too_much = fits.is_boolean() && !fits.get<bool>();
  if (const std::string reason = text_of(memory, "reason"); too_much && !reason.empty())
    out += "  " + reason + "\n";
  const Json& stages = part_of(memory, "stages");
  if (!stages.is_array() || stages.empty()) return out;
  out += stage_table(stages, capacity, style) + "  bar:";
  for (const MemoryKind& kind : kMemoryKinds)
    out += fmt::format(" {} {}", style.unicode ? kind.unicode : kind.ascii, kind.word);
  return out + fmt::format(", {} capacity\n", style.unicode ? "│" : "|");
}

}  // namespace runcast
