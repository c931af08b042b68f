// Turns the bytes of tokens, which may end inside a character, into pieces of valid UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace edgellm {

class TextStream {
 public:
  // The complete characters that `bytes` brings; what is no UTF-8 becomes U+FFFD.
  std::string add(std::string_view bytes);
  // What is still waiting, as U+FFFD.
  std::string finish();

 private:
  std::string waiting_;
};

}  // namespace edgellm
