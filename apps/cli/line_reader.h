// Lines from the user: edited and remembered on a terminal (libedit, where the build has it), plain
// otherwise.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace edgellm {

class LineReader {
 public:
  // history: file that keeps the lines between runs; made with its folder when a line is added.
  explicit LineReader(std::filesystem::path history);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  bool is_terminal() const { return terminal_; }
  // Nothing at the end of the input. Ctrl-C empties the line and asks again.
  std::optional<std::string> read(const char* prompt);

 private:
  std::filesystem::path history_;
  bool terminal_;
};

// $XDG_STATE_HOME/edgellm, or ~/.local/state/edgellm.
std::filesystem::path state_folder();

}  // namespace edgellm
