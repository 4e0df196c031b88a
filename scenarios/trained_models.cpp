#include "scenarios/trained_models.hpp"

#include <fmt/format.h>

#include <charconv>

#include "scenarios/csv.hpp"
#include "scenarios/library_entries.hpp"

namespace runcast {

namespace {

double number(const std::string& text, const std::string& where) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0))
    throw ConfigError(fmt::format("{}: '{}' is no number of at least 0", where, text));
  return value;
}

}  // namespace

std::vector<TrainedModel> trained_models(const Library& library) {
  const LibraryEntry* entry = library.find("published", "trained_models");
  if (entry == nullptr) return {};
  const CsvTable table = parse_csv(entry->text, entry->path);
  const auto cell = [&](const CsvRow& row, std::string_view title) {
    const auto column = table.column(title);
    if (!column)
      throw ConfigError(
          fmt::format("{}:{}: the column '{}' is missing", table.name, table.header_line, title));
    return row.cells[*column];
  };
  std::vector<TrainedModel> models;
  for (const CsvRow& row : table.rows) {
    const std::string where = fmt::format("{}:{}", table.name, row.line);
    TrainedModel m{cell(row, "name"), cell(row, "model"), cell(row, "gpu"), cell(row, "source")};
    m.tokens = number(cell(row, "tokens"), where);
    if (const std::string hours = cell(row, "gpu_hours"); !hours.empty()) m.gpu_hours = number(hours, where);
    if (!m.model.empty()) {
      const Model model = model_named(m.model, library, where);
      m.parameters = static_cast<double>(count_parameters(model).active);
      m.experts = model.is_moe();
    }
    if (const std::string given = cell(row, "parameters"); !given.empty())
      m.parameters = number(given, where);
    if (m.parameters <= 0 || m.tokens <= 0)
      throw ConfigError(where + ": a trained model needs a model or parameters, and tokens");
    models.push_back(std::move(m));
  }
  return models;
}

}  // namespace runcast
