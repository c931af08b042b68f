// The words ROUGE compares, as Google's rouge-score cuts them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace edgellm {

// Runs of a-z and 0-9 in the lowered text; all else separates, letters with accents and other scripts too.
// stem: words of more than three characters are replaced by their Porter stem. text: UTF-8.
std::vector<std::string> rouge_tokens(std::string_view text, bool stem);

}  // namespace edgellm
