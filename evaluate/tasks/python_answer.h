// From what a model says to "complete this function" to a Python program that defines the function.
#pragma once

#include <string>
#include <string_view>

namespace edgellm {

// prompt: the start of a Python file that ends inside the function `entry_point`, after its docstring.
// The code is looked for in this order:
//   1. the first fenced block that defines the function, otherwise the first fenced block; an open fence ends
//   with the
//      answer (it was cut at its length)
//   2. without fences: from the definition of the function, with the code lines right before it, to the first
//   line that
//      is no code
//   3. otherwise the answer is the prompt's continuation: up to the first unindented line that is no code,
//   with the
//      indentation of the first line (which models and decoders drop) put back
// Code that defines the function is put behind the prompt and replaces the prompt's unfinished function;
// other code continues the prompt. An empty answer leaves the prompt alone, as the official program does.
std::string python_program(std::string_view prompt, std::string_view entry_point, std::string_view answer);

}  // namespace edgellm
