// What commands tell of themselves to the files that are installed beside the program: the kinds that a first word may
// be (completion scripts), and their sections of the manual page.
#pragma once

#include <string>
#include <vector>

namespace runcast {

std::vector<std::string> import_kinds();
std::vector<std::string> export_kinds();
std::string manual_commands();  // roff

}  // namespace runcast
