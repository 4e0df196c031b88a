// `runcast completion bash|zsh|fish`: scripts made from the command table. What may stand at a place depends on the
// library (an overlay counts), so that the scripts ask `runcast completion words COMMAND [OPTION]`, which prints one
// word a line: a shell would split and expand anything richer. `completion man` is the manual page's list of commands.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "parallelism/precision.hpp"
#include "scenarios/advise.hpp"
#include "scenarios/schema.hpp"
#include "scenarios/search.hpp"
#include "sim/config.hpp"
#include "sim/error.hpp"
#include "tools/commands/command.hpp"
#include "tools/commands/kinds.hpp"
#include "tools/commands/parse.hpp"
#include "tools/explanations.hpp"

namespace runcast {
namespace {

using Words = std::vector<std::string>;

Words command_words() {
  Words words;
  for (const Command& command : command_table()) words.emplace_back(command.name);
  return words;
}

Words option_words(const Command& command) {
  Words words;
  for (const Option& option : options_of(command)) words.push_back(fmt::format("--{}", option.name));
  return words;
}

// ---- what may stand at a place -------------------------------------------------------------------------------

Words names_and_folders(const Library& library) {
  Words words;
  for (const LibraryEntry& entry : library.entries()) words.push_back(entry.name);
  return words;
}

Words folders(const Library& library) {
  Words words;
  for (const LibraryEntry& entry : library.entries()) words.push_back(entry.folder);
  return words;
}

Words terms() {
  Words words = schema_paths();
  for (const Explanation& known : explanations())
    if (known.term.find(' ') == std::string_view::npos) words.emplace_back(known.term);
  return words;
}

Words schema_words() {
  Words words;
  for (const SchemaKind& kind : schema_kinds()) words.emplace_back(kind.name);
  return words;
}

Words precision_words() {
  Words words;
  for (const Precision& precision : precisions()) words.emplace_back(precision.name);
  return words;
}

Words positional_words(const std::string& command, const Library& library) {
  static const Words kOfScenarios = {"run",     "step",   "goodput", "memory", "search",
                                     "compare", "advise", "network", "trace"};
  if (std::ranges::find(kOfScenarios, command) != kOfScenarios.end()) {
    Words words = library.names("runs");
    if (command == "trace") words.emplace_back("diff");
    return words;
  }
  if (command == "model") return library.names("models");
  if (command == "show") return names_and_folders(library);
  if (command == "list") return folders(library);
  if (command == "explain") return terms();
  if (command == "schema") return schema_words();
  if (command == "import") return import_kinds();
  if (command == "export") return export_kinds();
  if (command == "help") return command_words();
  if (command == "completion") return {"bash", "zsh", "fish"};
  return {};
}

// Options whose values are words of a closed list; the others take files, folders, numbers or text.
struct ValueRow {
  std::string_view option;
  std::function<Words(const Library&)> words;
};
const std::vector<ValueRow>& value_rows() {
  const auto fixed = [](Words words) { return [words](const Library&) { return words; }; };
  const auto of = [](const char* folder) {
    return [folder](const Library& library) { return library.names(folder); };
  };
  static const std::vector<ValueRow> kRows = {
      {"format", fixed({"table", "json", "jsonl", "csv", "md"})},
      {"trace-format", fixed({"chrome", "kineto", "memory"})},
      {"trace-level", fixed({"step", "microbatch", "layer", "op"})},
      {"objective", fixed(search_objectives())},
      {"fail-on", fixed({kSeverities.begin(), kSeverities.end()})},
      {"search", fixed({"quick", "full", "none"})},
      {"only", fixed({"dense", "moe", "all"})},
      {"law", fixed({"chinchilla", "besiroglu", "kaplan", "kaplan-paper"})},
      {"convention", fixed({"exact", "exact_full", "6n", "palm", "megatron_2021"})},
      {"precision", fixed(precision_words())},
      {"shard", fixed({"auto"})},
      {"gpu", of("hardware/gpus")},
      {"node", of("hardware/nodes")},
      {"model", of("models")},
      {"software", of("software")},
      {"scenario", of("runs")},
      {"with", of("runs")},
  };
  return kRows;
}

const ValueRow* value_row(std::string_view option) {
  for (const ValueRow& row : value_rows())
    if (row.option == option) return &row;
  return nullptr;
}

Words words_at(const Words& place, const Library& library) {
  Words words;
  if (place.size() > 1) {
    if (const ValueRow* row = value_row(place[1])) words = row->words(library);
  } else if (!place.empty()) {
    words = positional_words(place.front(), library);
  }
  std::ranges::sort(words);
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

// ---- scripts -------------------------------------------------------------------------------------------------

enum class Takes { words, file, folder, text };
Takes takes(const Option& option) {
  if (value_row(option.name) != nullptr) return Takes::words;
  if (option.parameter.starts_with("FILE")) return Takes::file;
  return option.parameter == "DIR" ? Takes::folder : Takes::text;
}

// "--library|--overlay" of all options that take this.
std::string options_that_take(Takes what) {
  Words words;
  for (const Command& command : command_table())
    for (const Option& option : options_of(command))
      if (!option.parameter.empty() && takes(option) == what) {
        words.push_back(fmt::format("--{}", option.name));
        if (option.letter != 0) words.push_back(fmt::format("-{}", option.letter));
      }
  std::ranges::sort(words);
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return fmt::format("{}", fmt::join(words, "|"));
}

// Words are compared and appended one by one: nothing that the program prints is expanded.
std::string bash_script() {
  std::string out = fmt::format(R"(# bash completion of runcast
_runcast_add() {{
  local name
  while IFS= read -r name; do
    case $name in "$1"*) COMPREPLY+=("$name") ;; esac
  done
}}
_runcast() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} command=${{COMP_WORDS[1]}} options=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    _runcast_add "$word" < <(printf '%s\n' {})
    return
  fi
  case $previous in
    {})
      _runcast_add "$word" < <(runcast completion words "$command" "${{previous#--}}" 2>/dev/null)
      return ;;
    {})
      _runcast_add "$word" < <(compgen -d -- "$word")
      return ;;
    {})
      _runcast_add "$word" < <(compgen -f -- "$word")
      return ;;
    {})
      return ;;
  esac
  case $word in
    -*)
      case $command in
)",
                                fmt::join(command_words(), " "), options_that_take(Takes::words),
                                options_that_take(Takes::folder), options_that_take(Takes::file),
                                options_that_take(Takes::text));
  for (const Command& command : command_table())
    out += fmt::format("        {}) options='{}' ;;\n", command.name, fmt::join(option_words(command), " "));
  return out + R"(      esac
      _runcast_add "$word" <<<"${options// /$'\n'}" ;;
    *)
      _runcast_add "$word" < <(runcast completion words "$command" 2>/dev/null)
      _runcast_add "$word" < <(compgen -f -- "$word") ;;
  esac
}
complete -o filenames -F _runcast runcast
)";
}

std::string zsh_script() {
  return "#compdef runcast\nautoload -U +X bashcompinit && bashcompinit\n" + bash_script();
}

std::string fish_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return out + "'";
}

std::string fish_option(const Command& command, const Option& option) {
  std::string how;
  if (!option.parameter.empty()) switch (takes(option)) {
      case Takes::words:
        how = fmt::format(" -x -a '(runcast completion words {} {} 2>/dev/null)'", command.name, option.name);
        break;
      case Takes::folder:
        how = " -x -a '(__fish_complete_directories)'";
        break;
      case Takes::file:
        how = " -rF";
        break;
      case Takes::text:
        how = " -x";
    }
  return fmt::format("complete -c runcast -n '__fish_seen_subcommand_from {}' -l {}{}{}\n", command.name,
                     option.name, option.letter != 0 ? fmt::format(" -s {}", option.letter) : "", how);
}

std::string fish_script() {
  std::string out = "# fish completion of runcast\ncomplete -c runcast -f\n";
  for (const Command& command : command_table()) {
    out += fmt::format("complete -c runcast -n __fish_use_subcommand -a {} -d {}\n", command.name,
                       fish_quoted(command.summary));
    for (const Option& option : options_of(command)) out += fish_option(command, option);
    if (!command.positionals.empty())
      out += fmt::format(
          "complete -c runcast -n '__fish_seen_subcommand_from {0}' -F -a '(runcast completion words {0} "
          "2>/dev/null)'\n",
          command.name);
  }
  return out;
}

}  // namespace

Answer completion_command(const Invocation& invocation) {
  const Words& words = invocation.arguments.positionals;
  const std::string& shell = words.front();
  if (shell == "words") {
    const Words found = words_at({words.begin() + 1, words.end()}, invocation.library);
    std::string text;
    for (const std::string& word : found) text += word + "\n";
    return Answer({{"words", found}}, text);
  }
  if (words.size() > 1) throw ConfigError(fmt::format("completion: unexpected argument '{}'", words[1]));
  std::string script;
  if (shell == "bash") script = bash_script();
  if (shell == "zsh") script = zsh_script();
  if (shell == "fish") script = fish_script();
  if (shell == "man") script = manual_commands();
  if (script.empty())
    throw ConfigError(fmt::format("completion: unknown shell '{}'; legal: bash, zsh, fish", shell));
  return Answer({{"shell", shell}, {"text", script}}, script);
}

}  // namespace runcast
