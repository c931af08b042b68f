// Result<T>: a value or an Error. What a file, a user or the network can cause is returned this way; core and
// runtime throw nothing of their own.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace edgellm {

// One line a user can act on: which operation, what was wanted, what was got.
struct [[nodiscard]] Error {
  std::string message;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return *checked(); }
  const T& value() const& { return *const_cast<Result*>(this)->checked(); }
  T&& value() && { return std::move(*checked()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return checked(); }
  const T* operator->() const { return const_cast<Result*>(this)->checked(); }

  const Error& error() const {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  T* checked() {
    assert(ok());
    return std::get_if<0>(&state_);
  }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    assert(error_);
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace edgellm

#define EDGELLM_CONCAT_INNER(a, b) a##b
#define EDGELLM_CONCAT(a, b) EDGELLM_CONCAT_INNER(a, b)

// Leaves the function with the error of `expression`, if it has one.
#define EDGELLM_RETURN_IF_ERROR(expression)                                                      \
  do {                                                                                           \
    if (auto edgellm_status = (expression); !edgellm_status.ok()) return edgellm_status.error(); \
  } while (0)

// EDGELLM_ASSIGN_OR_RETURN(auto file, MappedFile::open(path)): the value, or leaves the function with the
// error.
#define EDGELLM_ASSIGN_OR_RETURN(declaration, expression) \
  EDGELLM_ASSIGN_OR_RETURN_INNER(EDGELLM_CONCAT(edgellm_result_, __LINE__), declaration, expression)
#define EDGELLM_ASSIGN_OR_RETURN_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                                           \
  if (!temporary.ok()) return temporary.error();                           \
  declaration = std::move(temporary).value()
