// One character for each stretch of time (gantt.hpp).
#include "tools/report/gantt.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tools/report/number.hpp"

namespace runcast {
namespace {

constexpr int kMostRows = 16;

struct Look {
  std::string_view word, unicode, ascii, colour;
};
// The kinds that a character can show, and those that look alike.
constexpr std::array kLooks = {Look{"forward", "█", "F", "34"},
                               Look{"backward", "▓", "B", "33"},
                               Look{"weight gradient", "▒", "W", "32"},
                               Look{"both at once", "▚", "X", "36"},
                               Look{"optimizer", "▪", "o", "35"},
                               Look{"other", "▫", "+", "90"},
                               Look{"idle", "·", ".", "90"}};

std::size_t look_of(SliceKind kind) {
  switch (kind) {
    case SliceKind::forward:
      return 0;
    case SliceKind::backward:
    case SliceKind::input_gradient:
      return 1;
    case SliceKind::weight_gradient:
      return 2;
    case SliceKind::forward_backward:
      return 3;
    case SliceKind::optimizer:
      return 4;
    case SliceKind::other:
      return 5;
    default:
      return 6;
  }
}

std::string drawn(std::size_t look, std::size_t times, const Style& style) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += style.unicode ? kLooks[look].unicode : kLooks[look].ascii;
  return style.colour ? fmt::format("\x1b[{}m{}\x1b[0m", kLooks[look].colour, text) : text;
}

// [column] the look that has most of its time.
std::vector<std::size_t> looks_of(const RankTimeline& r, Time from, Duration length, std::size_t columns) {
  std::vector<std::array<double, kLooks.size()>> spent(columns);
  const double width = static_cast<double>(length.ns) / static_cast<double>(columns);
  for (const TimelineSlice& s : r.slices) {
    if (s.depth > 0 || (s.stream != TimelineStream::compute && s.stream != TimelineStream::idle)) continue;
    const double begin = static_cast<double>((s.start - from).ns) / width;
    const double end = static_cast<double>((s.end - from).ns) / width;
    for (auto c = static_cast<std::size_t>(std::max(0.0, begin)); c < columns && static_cast<double>(c) < end;
         ++c)
      spent[c][look_of(s.kind)] +=
          std::min(end, static_cast<double>(c + 1)) - std::max(begin, static_cast<double>(c));
  }
  std::vector<std::size_t> looks;
  for (const auto& column : spent)
    looks.push_back(static_cast<std::size_t>(std::ranges::max_element(column) - column.begin()));
  return looks;
}

std::string row_text(const std::vector<std::size_t>& looks, const Style& style) {
  std::string text;
  for (std::size_t c = 0; c < looks.size();) {
    std::size_t last = c;
    while (last < looks.size() && looks[last] == looks[c]) ++last;
    text += drawn(looks[c], last - c, style);
    c = last;
  }
  return text;
}

}  // namespace

std::string gantt_text(const StepTimeline& timeline, const Style& style, std::size_t columns) {
  const int stages = timeline.layout().pipeline;
  const int every = (stages + kMostRows - 1) / kMostRows;
  std::string out = fmt::format("{}   of one step, {}\n", heading("PIPELINE", style),
                                time_text(to_seconds(timeline.step().time).value));
  std::array<bool, kLooks.size()> used{};
  Time from{};
  for (int p = 0; p < stages; p += every) {
    const RankTimeline r = timeline.of(timeline.layout().rank(0, 0, p, 0));
    if (p == 0) from = r.begin;
    const std::vector<std::size_t> looks =
        looks_of(r, std::min(from, r.begin), timeline.step().time, columns);
    for (const std::size_t look : looks) used[look] = true;
    out += fmt::format("  stage {:>3} {}\n", p, row_text(looks, style));
  }
  out += "  ";
  for (std::size_t look = 0; look < kLooks.size(); ++look)
    if (used[look]) out += drawn(look, 1, style) + " " + std::string(kLooks[look].word) + "   ";
  out.erase(out.find_last_not_of(' ') + 1);
  return out + (every > 1 ? fmt::format("   (each {}th stage)\n", every) : "\n");
}

}  // namespace runcast
