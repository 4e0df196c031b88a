// Tables of comma-separated values as RFC 4180 has them: quoted cells with commas, line ends and doubled
// quotes; CR LF or LF; a byte order mark is passed over, and so are blank lines. Every row has as many cells
// as the header. Leaves out: other separators, comments, types (the reader of a table knows them).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace runcast {

struct CsvRow {
  int line = 0;                    // where the row begins, from 1
  std::vector<std::string> cells;  // as many as the header's
};

struct CsvTable {
  std::string name;  // what errors print as the file
  int header_line = 0;
  std::vector<std::string> header;
  std::vector<CsvRow> rows;

  std::optional<std::size_t> column(std::string_view title) const;
};

// A whole file of any size, read once. ConfigError `WHERE: cannot read PATH`; WHERE is what named it.
std::string read_text(const std::string& path, std::string_view where);

// Throws ConfigError with all errors, each `NAME:LINE: sentence`, for what is no table.
CsvTable parse_csv(std::string_view text, std::string name);

}  // namespace runcast
