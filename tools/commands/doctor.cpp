// `runcast doctor`: whether this installation can do its work, check by check.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "sim/config.hpp"
#include "sim/error.hpp"
#include "tools/commands/command.hpp"

namespace runcast {
namespace {

struct Check {
  std::string name;
  bool good;
  std::string detail;
};

Check library_check(const Library& library) {
  std::string detail;
  for (const std::string& folder : library.folders())
    detail += fmt::format("{}{} {}", detail.empty() ? "" : ", ", library.names(folder).size(), folder);
  bool good = !library.entries().empty();
  for (const LibraryEntry& entry : library.entries()) {
    if (entry.suffix != "yaml") continue;
    try {
      Document::parse(entry.text, entry.path);
    } catch (const ConfigError& error) {
      good = false;
      detail += fmt::format("; {}", error.what());
    }
  }
  return {"library", good, detail};
}

Check temporary_check() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  const bool good = !error && access(folder.c_str(), W_OK) == 0;
  return {"temporary files", good, good ? folder.string() : "no folder for temporary files can be written"};
}

}  // namespace

Answer doctor_command(const Invocation& invocation) {
  const Style& style = invocation.style;
  const std::vector<Check> checks = {
      {"version", true, fmt::format("runcast {}, compiled with {}", RUNCAST_VERSION, __VERSION__)},
      library_check(invocation.library),
      temporary_check(),
      {"threads", true, fmt::format("{}", std::max(1U, std::thread::hardware_concurrency()))},
      {"terminal", true,
       fmt::format("{}, {}", style.unicode ? "UTF-8" : "ASCII (the locale is not UTF-8)",
                   style.colour ? "colour" : "no colour")},
  };
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  Columns table;
  for (int i = 0; i < 3; ++i) table.column("", Columns::Align::left);
  bool good_all = true;
  for (const Check& check : checks) {
    good_all = good_all && check.good;
    table.row({check.good ? good("ok", style) : bad("not ok", style), check.name, check.detail});
    rows.push_back({{"check", check.name}, {"ok", check.good}, {"detail", check.detail}});
  }
  return Answer({{"rows", rows}}, table.text(0), good_all);
}

}  // namespace runcast
