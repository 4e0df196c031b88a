// What a Document holds while it is read: the nodes, which keys were asked for and read, the values as they
// were understood (the echo), and the errors. The report of keys that nobody read is made here. Private to
// config.cpp and overrides.cpp.
#pragma once

#include <cmath>
#include <cstddef>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/quantity.hpp"
#include "sim/source_text.hpp"
#include "sim/yaml_tree.hpp"

namespace runcast::detail {

using Json = nlohmann::ordered_json;

// What the readers did with a map that was opened.
struct OpenedMap {
  bool silent = false;     // stands in for a section that could not be read: its readers record no errors
  bool unsettled = false;  // a choice failed here: which keys are legal may depend on it
  std::string path;
  std::vector<std::string> asked;                  // keys, in the order of the first question
  std::vector<std::string> read;                   // keys that were read
  std::vector<std::string> missing;                // required keys that are not there
  std::vector<std::pair<std::string, Json>> echo;  // of scalars and lists of scalars
  std::vector<std::pair<std::string, std::vector<std::size_t>>> echo_maps;
};

struct DocumentState {
  Source source;
  std::deque<Node> nodes;
  std::map<std::size_t, OpenedMap> opened;  // by node
  std::size_t root = kNone;
  std::vector<std::string> sets;  // the text of each --set
  std::vector<Problem> problems;
  bool anything_missing = false;
  bool recording = false;
  std::vector<KeyReading> readings;  // only while recording

  explicit DocumentState(Source s) : source(std::move(s)) {}

  // The child of a map, kNone when the key is not there; and the same when its value is null.
  std::size_t child(std::size_t map, std::string_view key) const;
  std::size_t value(std::size_t map, std::string_view key) const;
  std::string path_of(std::size_t map, std::string_view key) const;

  Place place(std::size_t map, std::string_view key) const;
  Location location(Place place) const;
  std::string told(const Problem& problem) const;
  void report(Place place, std::string sentence) { problems.push_back({place, std::move(sentence)}); }
  void fail(std::size_t map, std::string_view key,
            std::string sentence);  // report(), unless the map is silent
  bool ok() const { return problems.empty() && !anything_missing; }

  std::size_t open_map(std::size_t node, std::string path);
  std::size_t add_map(std::size_t parent, std::string_view key, bool silent);  // empty, not in the document

  void ask(std::size_t map, std::string_view key);
  std::size_t take(std::size_t map, std::string_view key);  // asks for and reads a key; its value or kNone
  void miss(std::size_t map, std::string_view key);         // a required key
  // Every key of an opened map that nobody read; then the required keys that no misspelt one stands for.
  void report_unread(std::size_t map);

  void echo(std::size_t map, std::string_view key, Json value);
  // A place in the echo, in reading order, that the maps' own echoes will fill.
  void echo_map(std::size_t map, std::string_view key, std::vector<std::size_t> maps, bool is_list);
  Json raw(std::size_t node) const;      // a subtree as it stands, for what was skipped
  Json resolved(std::size_t map) const;  // as it was understood

  // Each reader says what it is; see KeyReading.
  void note(std::size_t map, std::string_view key, std::string_view form,
            std::span<const std::string_view> words = {});

  // The text of a scalar; an error and nothing when it is a list or a map.
  const std::string* scalar(std::size_t map, std::string_view key, std::size_t node);

  // The one way in which every scalar is read: `read` turns text into a Reading, `to_json` echoes it.
  // `harmless` is returned where there is no value to return.
  template <class T, class Read, class ToJson>
  T read_scalar(std::size_t map, std::string_view key, const T* fallback, T harmless, Read read,
                ToJson to_json) {
    const std::size_t node = take(map, key);
    if (node == kNone) {
      if (fallback == nullptr) return miss(map, key), harmless;
      if (Json told = to_json(*fallback, std::string()); !told.is_null()) {
        if (recording) readings.back().fallback = told.dump();
        echo(map, key, std::move(told));
      }
      return *fallback;
    }
    const T instead = fallback != nullptr ? *fallback : harmless;
    const std::string* text = scalar(map, key, node);
    if (text == nullptr) return instead;
    Reading<T> reading = read(*text);
    if (!reading) return fail(map, key, std::move(reading.problem)), instead;
    echo(map, key, to_json(reading.value, reading.echo));
    return reading.value;
  }
  double read_dimension(std::size_t map, std::string_view key, const UnitTable& table,
                        const double* fallback);
};

}  // namespace runcast::detail
