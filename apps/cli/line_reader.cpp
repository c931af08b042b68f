#include "apps/cli/line_reader.h"

#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <unistd.h>

#include "core/base/interrupt.h"
#ifdef EDGELLM_HAVE_EDITLINE
#include <editline/readline.h>
#endif

namespace edgellm {

namespace fs = std::filesystem;

fs::path state_folder() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state && *state) return fs::path(state) / "edgellm";
  const char* home = std::getenv("HOME");
  return fs::path(home && *home ? home : ".") / ".local" / "state" / "edgellm";
}

LineReader::LineReader(fs::path history)
    : history_(std::move(history)), terminal_(::isatty(STDIN_FILENO) && ::isatty(STDOUT_FILENO)) {
#ifdef EDGELLM_HAVE_EDITLINE
  if (!terminal_) return;
  constexpr int kMostLines = 1000;
  using_history();
  stifle_history(kMostLines);
  read_history(history_.c_str());
#endif
}

LineReader::~LineReader() = default;

namespace {

// One line as typed or piped; nothing at the end of the input or on an interrupt.
std::optional<std::string> plain_line(const char* prompt) {
  std::fputs(prompt, stdout);
  std::fflush(stdout);
  char* text = nullptr;
  size_t n_allocated = 0;
  ssize_t n = ::getline(&text, &n_allocated, stdin);
  std::optional<std::string> line;
  if (n >= 0) line.emplace(text, size_t(n));
  std::free(text);
  std::clearerr(stdin);
  while (line && !line->empty() && (line->back() == '\n' || line->back() == '\r')) line->pop_back();
  return line;
}

#ifdef EDGELLM_HAVE_EDITLINE
std::optional<std::string> edited_line(const char* prompt, const fs::path& history) {
  char* text = ::readline(prompt);
  if (!text) return std::nullopt;
  std::string line = text;
  std::free(text);
  if (!line.empty()) {
    add_history(line.c_str());
    // A history that cannot be kept is no reason to disturb the chat.
    std::error_code ignored;
    fs::create_directories(history.parent_path(), ignored);
    write_history(history.c_str());
  }
  return line;
}
#endif

}  // namespace

std::optional<std::string> LineReader::read(const char* prompt) {
  for (;;) {
    std::optional<std::string> line;
#ifdef EDGELLM_HAVE_EDITLINE
    line = terminal_ ? edited_line(prompt, history_) : plain_line("");
#else
    line = plain_line(terminal_ ? prompt : "");
#endif
    if (!interrupt_requested()) {
      if (!line && terminal_) fmt::print("\n");
      return line;
    }
    clear_interrupt();
    if (!terminal_) return std::nullopt;
    fmt::print("\n");
  }
}

}  // namespace edgellm
