// The two passes over the command line.
#include "tools/commands/parse.hpp"

#include <doctest/doctest.h>

#include "sim/error.hpp"

using namespace runcast;
using Words = std::vector<std::string>;

TEST_CASE("the command is the first word that is neither an option nor an option's value") {
  CHECK(find_command({"step", "a.yaml"}).command == "step");
  CHECK(find_command({"--format", "json", "step", "a.yaml"}).command == "step");
  CHECK(find_command({"-o", "out.json", "step"}).command == "step");
  CHECK(find_command({"--format=json", "--quiet", "step"}).command == "step");
  CHECK(find_command({"--format", "json", "step", "a.yaml"}).words == Words{"--format", "json", "a.yaml"});
  CHECK(find_command({"run", "-"}).words == Words{"-"});
  CHECK(find_command({"--quiet"}).command.empty());
}

TEST_CASE("values keep their order, flags have none, and an equals sign belongs to the value") {
  const Arguments arguments = parse_arguments(
      command_named("step"),
      {"a.yaml", "--set", "layout.tensor=4", "--set=training.micro_batch=2", "--quiet", "-j", "3"});
  CHECK(arguments.positionals == Words{"a.yaml"});
  CHECK(arguments.all("set") == Words{"layout.tensor=4", "training.micro_batch=2"});
  CHECK(arguments.has("quiet"));
  CHECK(arguments.last("threads") == "3");
  CHECK_FALSE(arguments.has("format"));
}

TEST_CASE("a misspelt option or command names the nearest, and no prefix is guessed") {
  CHECK_THROWS_WITH_AS(parse_arguments(command_named("step"), {"a.yaml", "--formt", "json"}),
                       "runcast step: unknown option '--formt', did you mean '--format'?", ConfigError);
  CHECK_THROWS_WITH_AS(parse_arguments(command_named("step"), {"a.yaml", "--form", "json"}),
                       "runcast step: unknown option '--form', did you mean '--format'?", ConfigError);
  CHECK_THROWS_WITH_AS(command_named("stp"), "unknown command 'stp', did you mean 'step'?", ConfigError);
  CHECK_THROWS_WITH_AS(command_named("xyzzy"), "unknown command 'xyzzy'; `runcast help` lists the commands",
                       ConfigError);
}

TEST_CASE("what a command cannot use is refused: options of simulations, missing and extra arguments") {
  CHECK_THROWS_WITH_AS(parse_arguments(command_named("list"), {"--seed", "3"}),
                       "runcast list: unknown option '--seed'; `runcast help list` lists its options",
                       ConfigError);
  CHECK_THROWS_WITH_AS(parse_arguments(command_named("run"), {}),
                       "runcast run: SCENARIO is missing; `runcast help run` shows how it is used",
                       ConfigError);
  CHECK_THROWS_WITH_AS(parse_arguments(command_named("run"), {"a", "b"}),
                       "runcast run: unexpected argument 'b'; it is used: runcast run SCENARIO", ConfigError);
  CHECK_THROWS_AS(parse_arguments(command_named("run"), {"a", "--set"}), ConfigError);
}

TEST_CASE("the help of every command shows its usage and all of its options") {
  for (const Command& command : command_table()) {
    const std::string text = command_help(command);
    CAPTURE(command.name);
    CHECK(text.starts_with("usage: runcast " + std::string(command.name)));
    CHECK(text.find("--format FORMAT") != std::string::npos);
    CHECK((text.find("--set KEY=VALUE") != std::string::npos) == command.simulates);
    for (const Option& option : command.options)
      CHECK(text.find("--" + std::string(option.name)) != std::string::npos);
  }
}
