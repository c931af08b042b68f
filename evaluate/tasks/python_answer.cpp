#include "evaluate/tasks/python_answer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <regex>
#include <vector>

namespace edgellm {
namespace {

using Lines = std::vector<std::string>;

Lines lines_of(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string joined(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

size_t indentation(std::string_view line) {
  return std::min(line.find_first_not_of(" \t"), line.size());
}

bool is_blank(std::string_view line) {
  return indentation(line) == line.size();
}

bool is_fence(std::string_view line) {
  line.remove_prefix(indentation(line));
  return line.starts_with("```") || line.starts_with("~~~");
}

// A line that defines the function, at any indentation.
bool defines(std::string_view line, std::string_view entry_point) {
  line.remove_prefix(indentation(line));
  if (line.starts_with("async ")) line.remove_prefix(6);
  if (!line.starts_with("def ")) return false;
  line.remove_prefix(4);
  line.remove_prefix(indentation(line));
  if (!line.starts_with(entry_point)) return false;
  line.remove_prefix(entry_point.size());
  return line.empty() || line[0] == '(' || line[0] == ' ' || line[0] == '[';
}

bool any_defines(const Lines& lines, std::string_view entry_point) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return defines(line, entry_point); });
}

// Whether an unindented line reads as Python and not as prose.
bool is_code(const std::string& line) {
  static const std::regex kStatement(
      R"((?:(?:async\s+)?def|class)\s+\w+.*|import\s+\w[\w.]*.*|from\s+[\w.]+\s+import\b.*|[@#)\]}].*)"
      R"(|(?:if|for|while|with|elif|except)\b.*:\s*(?:#.*)?|(?:try|else|finally|except)\s*:.*)"
      R"(|(?:return|raise|yield|assert|del|global|nonlocal)(?:\s.*|\(.*)?|(?:pass|break|continue)\s*(?:#.*)?)"
      R"(|[A-Za-z_][\w.]*(?:\[[^\]]*\])?(?:\s*,\s*[A-Za-z_][\w.]*)*\s*(?::[^=]*)?(?:[-+*/%&|^@]|//|\*\*|<<|>>)?=(?!=).*)"
      R"(|[A-Za-z_][\w.]*\(.*)");
  // std::regex recurses by the character: a line longer than any code is no code.
  return line.size() <= 500 && std::regex_match(line, kStatement);
}

bool is_code_or_inside(const std::string& line) {
  return is_blank(line) || indentation(line) > 0 || is_code(line);
}

// Fenced blocks, each without the indentation of its fence.
std::vector<Lines> fenced_blocks(const Lines& lines) {
  std::vector<Lines> blocks;
  bool inside = false;
  size_t fence_indentation = 0;
  for (const std::string& line : lines) {
    if (is_fence(line)) {
      inside = !inside;
      fence_indentation = indentation(line);
      if (inside) blocks.emplace_back();
    } else if (inside) {
      blocks.back().push_back(line.substr(std::min(fence_indentation, indentation(line))));
    }
  }
  return blocks;
}

std::optional<Lines> fenced_code(const Lines& lines, std::string_view entry_point) {
  const std::vector<Lines> blocks = fenced_blocks(lines);
  if (blocks.empty()) return std::nullopt;
  const auto found =
      std::find_if(blocks.begin(), blocks.end(), [&](const Lines& b) { return any_defines(b, entry_point); });
  return found == blocks.end() ? blocks.front() : *found;
}

// The code around the definition of the function in an answer without fences.
Lines bare_definition(const Lines& lines, std::string_view entry_point) {
  const auto definition = std::find_if(lines.begin(), lines.end(),
                                       [&](const std::string& line) { return defines(line, entry_point); });
  auto first = definition;
  while (first != lines.begin() && is_code_or_inside(*(first - 1))) --first;
  const auto last = std::find_if_not(definition + 1, lines.end(), is_code_or_inside);
  return Lines(first, last);
}

// The rest of the function's body, indented as a body is.
Lines continuation(const Lines& lines) {
  const auto first =
      std::find_if_not(lines.begin(), lines.end(), [](const auto& line) { return is_blank(line); });
  if (first == lines.end()) return {};
  const auto is_unindented = [](const std::string& line) {
    return !is_blank(line) && indentation(line) == 0;
  };
  if (!is_unindented(*first)) {
    // Unindented code behind the body may be a function that it calls.
    return Lines(first, std::find_if_not(first, lines.end(), is_code_or_inside));
  }
  const Lines body(first, std::find_if_not(first, lines.end(), is_code_or_inside));
  Lines out;
  // Only the first line lost its indentation when the second shows a body's: deeper by two steps after a
  // colon, by one otherwise. Otherwise all of them did.
  const auto second = std::find_if_not(body.begin() + (body.empty() ? 0 : 1), body.end(),
                                       [](const auto& line) { return is_blank(line); });
  bool all_lost = true;
  if (!body.empty() && second != body.end()) {
    const std::string& line = body.front();
    const size_t end = line.find_last_not_of(" \t");
    const bool opens_block = end != line.npos && (line[end] == ':' || line[end] == '(' || line[end] == '[' ||
                                                  line[end] == '{' || line[end] == ',');
    const size_t n_indented = indentation(*second);
    all_lost = n_indented == 0 || (opens_block && n_indented <= 4);
  }
  for (size_t i = 0; i < body.size(); ++i)
    out.push_back((all_lost || i == 0) && !is_blank(body[i]) ? "    " + body[i] : body[i]);
  return out;
}

}  // namespace

std::string python_program(std::string_view prompt, std::string_view entry_point, std::string_view answer) {
  const Lines lines = lines_of(answer);
  std::optional<Lines> code = fenced_code(lines, entry_point);
  if (!code && any_defines(lines, entry_point)) code = bare_definition(lines, entry_point);
  std::string program(prompt);
  if (!program.ends_with('\n')) program += '\n';
  if (!code || !any_defines(*code, entry_point)) return program + joined(continuation(code.value_or(lines)));

  // A prompt without a docstring would end in an empty function.
  return program + "    pass\n\n" + joined(*code);
}

}  // namespace edgellm
