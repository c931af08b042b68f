#include "core/model_file/printable.h"

namespace edgellm {

std::string printable(std::string_view text, size_t most_bytes) {
  std::string result(text.substr(0, most_bytes));
  for (char& c : result)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  if (text.size() > most_bytes) result += "...";
  return result;
}

}  // namespace edgellm
