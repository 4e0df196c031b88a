// Points in batches over threads, rows in order into the file.
#include "scenarios/sweep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "sim/threads.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr std::size_t kBatch = 8;  // points of a thread between two looks at the file

// "4" is a number, "4 min" a text.
Json value_of(const std::string& text) {
  Json json = Json::parse(text, nullptr, false);
  return json.is_number() || json.is_boolean() ? json : Json(text);
}

void add_point(Json& row, const std::vector<std::string>& sets) {
  for (const std::string& set : sets) {
    const std::size_t equals = set.find('=');
    row[set.substr(0, equals)] = equals == std::string::npos ? Json() : value_of(set.substr(equals + 1));
  }
}

Json result_at(const Json& document, const std::string& path) {
  const Json* at = &document;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    const std::string key = path.substr(begin, end - begin);
    if (!at->is_object() || !at->contains(key))
      throw ConfigError(fmt::format(
          "results: there is no '{}' in this answer; `--format json` of one point shows all", path));
    at = &(*at)[key];
    begin = end + 1;
  }
  return *at;
}

// The file so far: how many rows it has whole, and where they end.
struct Done {
  std::int64_t rows = 0;
  std::uintmax_t bytes = 0;
  bool any = false;
};
Done done_in(const std::string& path, const std::string& header) {
  std::error_code missing;
  if (!fs::is_regular_file(path, missing)) return {};  // a device or a pipe has no rows
  std::ifstream in(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  Done done;
  std::size_t at = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', at)) {
    if (at == 0 && text.substr(0, end) != header)
      throw ConfigError(
          fmt::format("{}: it holds points of another study, seed, version or shard; remove it, or give "
                      "another --results",
                      path));
    done.rows += at == 0 ? 0 : 1;
    done.any = true;
    at = end + 1;
  }
  if (!done.any && !header.starts_with(text))
    throw ConfigError(
        fmt::format("{}: it is no file of results; remove it, or give another --results", path));
  done.bytes = at;
  return done;
}

std::vector<std::string> rows_of(const Study& study, const std::vector<std::int64_t>& indices,
                                 const Library& library, const ExperimentOptions& options) {
  std::vector<std::string> rows(indices.size());
  std::vector<std::exception_ptr> failures(indices.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < indices.size(); i = next++) try {
        rows[i] = sweep_row(study, indices[i], library, options).dump() + "\n";
      } catch (...) {
        failures[i] = std::current_exception();
      }
  };
  {
    const auto others = helping_threads(options.threads - 1, [&](int) { work(); });
    work();
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
  return rows;
}

}  // namespace

nlohmann::ordered_json sweep_row(const Study& study, std::int64_t index, const Library& library,
                                 const ExperimentOptions& options) {
  ExperimentOptions one = options;
  one.threads = 1;
  one.progress = nullptr;
  const std::vector<std::string> sets = study.point(index);
  Json row = {{"index", index}};
  add_point(row, sets);
  Json document;
  std::string error;
  try {
    document = study.whole_run ? run_document(study.source.open(sets), library, one)
                               : step_document(study.source.open(sets), library, one);
  } catch (const ConfigError& wrong) {
    error = wrong.what();
    error = error.substr(0, error.find('\n'));
  }
  for (const std::string& result : study.results)
    row[result] = error.empty() ? result_at(document, result) : Json(nullptr);
  row["error"] = error.empty() ? Json(nullptr) : Json(error);
  return row;
}

SweepProgress run_sweep(const Study& study, const Shard& shard, const std::string& path,
                        const Library& library, const ExperimentOptions& options,
                        const std::function<bool()>& stop) {
  SweepProgress progress;
  progress.points = (study.count - shard.index + shard.of - 1) / shard.of;
  const std::string header = header_line(study, options.seed, shard);
  const Done before = done_in(path, header);
  if (before.any) fs::resize_file(path, before.bytes);
  std::ofstream out(path, before.any ? std::ios::binary | std::ios::app : std::ios::binary | std::ios::trunc);
  if (!out) throw ConfigError(fmt::format("cannot write {}: {}", path, std::strerror(errno)));
  const auto flush = [&] {
    if (out.flush()) return;
    throw ConfigError(fmt::format(
        "cannot write {}: {}; the points that are there stay, and the same command goes on with the others",
        path, std::strerror(errno)));
  };
  if (!before.any) out << header << "\n";
  flush();
  progress.done = progress.resumed = before.rows;
  const std::size_t batch = kBatch * static_cast<std::size_t>(options.threads);
  while (progress.done < progress.points && !(stop && stop())) {
    std::vector<std::int64_t> indices;
    for (std::int64_t k = progress.done; k < progress.points && indices.size() < batch; ++k)
      indices.push_back(shard.index + k * shard.of);
    for (const std::string& row : rows_of(study, indices, library, options)) out << row;
    flush();
    progress.done += static_cast<std::int64_t>(indices.size());
    if (options.progress) options.progress(progress.done, progress.points);
  }
  progress.complete = progress.done == progress.points;
  return progress;
}

nlohmann::ordered_json sweep_document(const Study& study, const Shard& shard, const std::string& path,
                                      const SweepProgress& progress) {
  Json json = {{"schema_version", 1},   {"study", study.hash},         {"points", progress.points},
               {"done", progress.done}, {"resumed", progress.resumed}, {"complete", progress.complete}};
  if (shard.of > 1) json["shard"] = fmt::format("{}/{}", shard.index + 1, shard.of);
  if (study.pivot)
    json["pivot"] = {
        {"rows", study.pivot->rows}, {"columns", study.pivot->columns}, {"value", study.pivot->value}};
  Json rows = Json::array();
  if (path.empty()) {
    for (std::int64_t i = shard.index; i < study.count; i += shard.of) {
      Json row = {{"index", i}};
      add_point(row, study.point(i));
      rows.push_back(std::move(row));
    }
  } else {
    json["results_file"] = path;
    std::ifstream in(path, std::ios::binary);
    std::string line;
    std::getline(in, line);
    while (std::getline(in, line))
      if (Json row = Json::parse(line, nullptr, false); row.is_object()) rows.push_back(std::move(row));
  }
  json["rows"] = std::move(rows);
  return json;
}

}  // namespace runcast
