// `runcast model` and `runcast scaling` as typed: units that follow as words of their own, statuses, every format.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

namespace {

using Json = nlohmann::ordered_json;

struct Ran {
  int status = -1;
  std::string out;  // both streams
};

Ran run(const std::string& words) {
  Ran ran;
  FILE* pipe = popen((std::string("'") + RUNCAST_PROGRAM + "' " + words + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> buffer{};
  for (std::size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    ran.out.append(buffer.data(), n);
  const int status = pclose(pipe);
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("scaling --compute 1e23 shows 14.60B parameters and 1.142T tokens, by every law") {
  const Ran ran = run("scaling --compute 1e23");
  CHECK(ran.status == 0);
  CHECK(has(ran.out, "OPTIMUM   14.60B parameters, 1.142T tokens (78.2 a parameter)"));
  for (const char* part : {"kaplan-paper", "224.0B", "75.91B", "FRONTIER", "MODELS", "GPT-3"})
    CHECK(has(ran.out, part));
  const Ran json = run("scaling --compute '1e23 FLOPs' --format json");
  CHECK(Json::parse(json.out)["n_opt"].get<double>() > 14.59e9);
  CHECK(has(run("scaling --compute 1e23 --format csv").out, "\nn_opt,14598306275"));
  CHECK(has(run("scaling --compute 1e23 --format md").out, "## laws"));
}

TEST_CASE("a unit may follow as a word of its own, and a stray word is refused") {
  const std::string with = " --gpu h100 --mfu 0.4 --format json";
  CHECK(run("scaling --budget 10000 USD" + with).out == run("scaling --budget '10000 USD'" + with).out);
  CHECK(run("scaling --compute 1e23 stray").status == 2);
  CHECK(run("scaling --budget 10000" + with).status == 2);
  CHECK(run("model llama3-8b --measured 10000 tokens/s --format json").out ==
        run("model llama3-8b --measured '10000 tokens/s' --format json").out);
  CHECK(run("model llama3-8b stray").status == 2);
}

TEST_CASE("the ramp of calculators is 75, 68.8 and 68.8 % efficient on the screen") {
  const Ran ran = run("scaling --ramp 4M/2M,8M/5M,16M/10M,4M/10M");
  CHECK(ran.status == 0);
  for (const char* part : {"75.0 %", "68.8 %", "28.6 %"}) CHECK(has(ran.out, part));
}

TEST_CASE("model shows its parts with units; wrong names and values are status 2 with a sentence") {
  const Ran ran = run("model llama-7b --gpu a100-80");
  CHECK(ran.status == 0);
  for (const char* part : {"PARAMETERS   6.738B (6,738,415,616)", "FLOPS", "524,288 B a token", "WHAT FITS",
                           "ROOFLINE", "attention is one half from 17.64k tokens on"})
    CHECK(has(ran.out, part));
  CHECK(run("model llama-7").out == "runcast model: unknown model 'llama-7', did you mean 'llama-7b'?\n");
  CHECK(run("model llama-7").status == 2);
  CHECK(run("model llama-7b --mfu 40 --tokens 1M").status == 2);
  CHECK(run("model llama-7b --tokens many").out ==
        "--tokens: 'many' is no number above 0 in one of: tokens\n");
}
