// Fuzzing without clang:  replay TARGET CORPUS DICTIONARY COUNT
// runs each file of the corpus, then COUNT inputs made of them by a mutator of our own: bytes are changed, dropped,
// doubled and taken from another file, words of the dictionary put in. Input n is a pure function of n (Philox), the
// same on every machine. Not guided by coverage: libFuzzer (entry.cpp) finds, this one remembers.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "sim/random.hpp"
#include "tests/fuzz/targets.hpp"

namespace {

using namespace runcast;

std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> files_of(const std::string& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  std::ranges::sort(paths);
  std::vector<std::string> files;
  for (const auto& path : paths) files.push_back(contents(path));
  return files;
}

// The quoted words of a libFuzzer dictionary, one a line, with its escapes \xAB, \" and \\.
std::vector<std::string> words_of(const std::string& path) {
  std::vector<std::string> words;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    const std::size_t open = line.find('"'), close = line.rfind('"');
    if (line.starts_with('#') || open == std::string::npos || close <= open) continue;
    std::string word;
    for (std::size_t i = open + 1; i < close; ++i) {
      if (line[i] == '\\' && line[++i] == 'x') {
        word += static_cast<char>(std::stoi(line.substr(i + 1, 2), nullptr, 16));
        i += 2;
      } else {
        word += line[i];
      }
    }
    words.push_back(std::move(word));
  }
  return words;
}

class Mutator {
 public:
  Mutator(const std::vector<std::string>& corpus, const std::vector<std::string>& words)
      : corpus_(corpus), words_(words) {}

  std::string input(std::uint64_t n) const {
    RandomStream random(1, Purpose::test, 0, n);
    std::string text = corpus_[random.below(corpus_.size())];
    for (std::uint64_t k = 1 + random.below(6); k > 0; --k) change(text, random);
    return text;
  }

 private:
  void change(std::string& text, RandomStream& random) const {
    static constexpr std::string_view kPieces = "0123456789.eE+-[]{}:,\"'\n\t #&*!|>%$\\/=()<\xFF\x01";
    const std::size_t at = random.below(text.size() + 1);
    const std::size_t length = std::min<std::size_t>(1 + random.below(12), text.size() - at);
    switch (random.below(6)) {
      case 0:
        text.insert(at, 1, kPieces[random.below(kPieces.size())]);
        return;
      case 1:
        text.erase(at, length);
        return;
      case 2:
        text.insert(at, text.substr(at, length));
        return;
      case 3:
        text.replace(at, length, words_[random.below(words_.size())]);
        return;
      case 4:
        if (at < text.size()) text[at] = kPieces[random.below(kPieces.size())];
        return;
      default:
        break;
    }
    const std::string& other = corpus_[random.below(corpus_.size())];
    const std::size_t from = random.below(other.size() + 1);
    text.replace(at, length, other.substr(from, 1 + random.below(40)));
  }

  const std::vector<std::string>& corpus_;
  const std::vector<std::string>& words_;
};

// What was being read when the program died: for the person who looks for it.
bool holds(const fuzz::Target& target, const std::string& text, const std::string& what) {
  try {
    target.run(text);
    return true;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n%s\n", what.c_str(), error.what(), text.c_str());
    return false;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const fuzz::Target* target = argc == 5 ? fuzz::find_target(argv[1]) : nullptr;
  if (target == nullptr) return std::fputs("usage: replay TARGET CORPUS DICTIONARY COUNT\n", stderr), 2;
  alarm(300 + static_cast<unsigned>(std::stoll(argv[4]) / 100));  // a hang is a finding
  const std::vector<std::string> corpus = files_of(argv[2]), words = words_of(argv[3]);
  if (corpus.empty() || words.empty()) return std::fputs("no corpus, or no dictionary\n", stderr), 2;
  const Mutator mutator(corpus, words);
  bool all = true;
  for (std::size_t i = 0; i < corpus.size(); ++i)
    all = holds(*target, corpus[i], "corpus file " + std::to_string(i)) && all;
  const auto count = static_cast<std::uint64_t>(std::stoll(argv[4]));
  for (std::uint64_t n = 0; n < count && all; ++n)
    all = holds(*target, mutator.input(n), "input " + std::to_string(n));
  return all ? 0 : 1;
}
