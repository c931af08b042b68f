// Python's text functions over UTF-8: positions count code points; a byte that is no UTF-8 counts as one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace edgellm::jinja {

// The text cut into code points.
std::vector<std::string_view> code_points(std::string_view text);
size_t n_code_points(std::string_view text);
// The first code point of a non-empty text; -1 where it is no UTF-8.
int32_t first_code_point(std::string_view text);
std::string encode_utf8(uint32_t code_point);

bool is_space(std::string_view code_point);
bool is_letter(std::string_view code_point);
bool is_digit(std::string_view code_point);
bool is_upper(std::string_view code_point);
bool is_lower(std::string_view code_point);

// str.strip: `characters` are those to take away, white space when it is empty.
std::string_view strip_left(std::string_view text, std::string_view characters = {});
std::string_view strip_right(std::string_view text, std::string_view characters = {});

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalize(std::string_view text);        // first letter upper, rest lower
std::string title_by_letters(std::string_view text);  // str.title: a word starts after what is no letter
std::string title_by_spaces(
    std::string_view text);  // the title filter: a word starts after space or - ( { [ <

// str.splitlines.
std::vector<std::string_view> lines_of(std::string_view text, bool keep_ends = false);

// Position in bytes of `part` at or after `from`, npos if absent; linear time for any input.
size_t find_text(std::string_view text, std::string_view part, size_t from = 0);

std::string quoted(std::string_view text);  // repr(text)
std::string python_float(double value);     // repr(value)

}  // namespace edgellm::jinja
