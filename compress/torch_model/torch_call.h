// The border between LibTorch, which throws, and everything else, which returns a Result.
#pragma once

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <new>
#include <string_view>
#include <type_traits>

#include "core/base/result.h"

namespace edgellm {

// What `function` returns (a Result or Status), or an Error that names `operation` when LibTorch threw: no
// memory, no such device, shapes that do not fit.
template <class Function>
std::invoke_result_t<Function> torch_call(std::string_view operation, Function&& function) {
  try {
    return function();
  } catch (const c10::Error& error) {
    std::string_view what = error.what_without_backtrace();
    return Error{fmt::format("{}: {}", operation, what.substr(0, what.find('\n')))};
  } catch (const std::bad_alloc&) {
    return Error{fmt::format("{}: not enough memory", operation)};
  }
}

}  // namespace edgellm
