// Text out of records, which may hold anything, made safe for what it is written into.
#pragma once

#include <string>
#include <string_view>

namespace edgellm {

std::string html_escape(std::string_view text);      // content and quoted attributes
std::string markdown_escape(std::string_view text);  // one table cell
std::string csv_escape(std::string_view text);       // one field; what a spreadsheet would compute gets a '

}  // namespace edgellm
