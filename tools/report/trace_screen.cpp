// What was written into the file of --trace, for people.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/report/number.hpp"
#include "tools/report/screen.hpp"

namespace runcast {

std::string trace_part(const nlohmann::ordered_json& document, const Style& style) {
  const nlohmann::ordered_json& trace = part_of(document, "trace");
  if (!trace.is_object()) return {};
  std::string out = fmt::format("{}   {}, {}", heading("TRACE", style), text_of(trace, "file"),
                                bytes_text(number_of(trace, "bytes")));
  if (text_of(trace, "of") == "step")
    out += fmt::format(", {} of {} ranks, level {}", number(number_of(trace, "ranks_shown")),
                       number(number_of(trace, "ranks_of_job")), text_of(trace, "level"));
  else
    out += fmt::format(", trial {} of the run", text_of(trace, "trial"));
  const std::string format = text_of(trace, "format");
  out += format == "kineto"   ? "; for Holistic Trace Analysis\n"
         : format == "memory" ? "; open one at pytorch.org/memory_viz\n"
                              : "; open it at ui.perfetto.dev\n";
  if (const std::string ranks = text_of(trace, "shown"); !ranks.empty())
    out += "  ranks " + wrapped(ranks, 8) + "\n";
  if (const std::string ranks = text_of(trace, "left_out_for_size"); !ranks.empty())
    out += "  left out for the file's size (--trace-size): ranks " + wrapped(ranks, 8) + "\n";
  if (const std::string warning = text_of(trace, "warning"); !warning.empty())
    out += "  " + wrapped(warning, 2) + "\n";
  return out;
}

}  // namespace runcast
