// Values of the chat-template language: Python's, as far as templates use them. Containers are immutable, as
// in the sandbox that Hugging Face renders templates in; only a namespace changes.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/result.h"

namespace edgellm::jinja {

class Value;
struct MacroClosure;
using Items = std::vector<Value>;
using Entries = std::vector<std::pair<Value, Value>>;  // a dict, in order of insertion

enum class Kind : uint8_t {
  undefined,
  none,
  boolean,
  integer,
  real,
  string,
  list,
  tuple,
  dict,
  name_space,
  loop,
  callable,
};

// Depth and weight bound every later walk over a value: a value nested too deeply or standing for too many
// bytes is never made. Weight counts shared parts as often as a walk meets them.
struct Sequence {
  Items items;
  size_t depth = 1, weight = 0;
};
struct Dict {
  Entries entries;
  size_t depth = 1, weight = 0;
  const Value* find(const Value& key) const;
};
struct Namespace {
  std::vector<std::pair<std::string, Value>> attributes;
};
struct Loop {
  Items items;
  size_t index = 0;  // of the item in work
};
// A method bound to its value, a global function, or a macro.
struct Callable;

class Value {
 public:
  Value() = default;  // undefined, without a name
  static Value undefined(std::string message);
  static Value none();
  static Value boolean(bool value);
  static Value integer(int64_t value);
  static Value real(double value);
  static Value string(std::string value);
  static Value sequence(Kind kind, std::shared_ptr<const Sequence> value);
  static Value dict(std::shared_ptr<const Dict> value);
  static Value of(Namespace* value);
  static Value of(const Loop* value);
  static Value of(std::shared_ptr<const Callable> value);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_undefined() const { return kind_ == Kind::undefined; }
  bool is_sequence() const { return kind_ == Kind::list || kind_ == Kind::tuple; }
  bool is_integral() const { return kind_ == Kind::integer || kind_ == Kind::boolean; }
  bool is_number() const { return is_integral() || kind_ == Kind::real; }

  // Each only for the kind it names (as_integer and as_real: for any number they can stand for).
  bool as_boolean() const { return std::get<bool>(held_); }
  int64_t as_integer() const;
  double as_real() const;
  const std::string& as_string() const { return *std::get<std::shared_ptr<const std::string>>(held_); }
  const Items& items() const { return std::get<std::shared_ptr<const Sequence>>(held_)->items; }
  const Dict& as_dict() const { return *std::get<std::shared_ptr<const Dict>>(held_); }
  Namespace* as_namespace() const { return std::get<Namespace*>(held_); }
  const Loop& as_loop() const { return *std::get<const Loop*>(held_); }
  const Callable& as_callable() const { return *std::get<std::shared_ptr<const Callable>>(held_); }
  // What an error about this undefined value says.
  std::string undefined_message() const;

  size_t depth() const;
  size_t weight() const;  // at least 1
  bool truthy() const;

 private:
  Kind kind_ = Kind::undefined;
  std::variant<std::monostate, bool, int64_t, double, std::shared_ptr<const std::string>,
               std::shared_ptr<const Sequence>, std::shared_ptr<const Dict>, Namespace*, const Loop*,
               std::shared_ptr<const Callable>>
      held_;
};

struct Callable {
  std::string name;  // of the method, global function or macro
  Value self;        // of a method
  bool is_method = false;
  const MacroClosure* macro = nullptr;  // of a macro
};

struct Arguments {
  Items positional;
  std::vector<std::pair<std::string, Value>> named;
};

// What one rendering may spend and what it owns. Work is counted in bytes touched or made, a step of the
// program as kStepCost; so one number bounds time and memory.
class Environment {
 public:
  static constexpr size_t kStepCost = 64;
  static constexpr size_t kMaxDepth = 64;             // of nested containers
  static constexpr size_t kMaxValueBytes = 1u << 26;  // of one value, and of the output

  Environment(uint64_t work_limit, int64_t now) : work_left_(work_limit), now_(now) {}

  Status charge(uint64_t work);
  // The checked ways to make a value that can grow.
  Result<Value> text(std::string text);
  Result<Value> list(Items items) { return sequence(Kind::list, std::move(items)); }
  Result<Value> tuple(Items items) { return sequence(Kind::tuple, std::move(items)); }
  Result<Value> dict(Entries entries);  // a later entry replaces an equal key's; Error for an unhashable key
  Result<Value> bound_method(std::string name, Value self);
  Value make_namespace(std::vector<std::pair<std::string, Value>> attributes);
  int64_t now() const { return now_; }  // seconds since 1970; 0: ask the clock

 private:
  Result<Value> sequence(Kind kind, Items items);
  uint64_t work_left_;
  int64_t now_;
  std::deque<Namespace> namespaces_;  // owned here since they may refer to each other in circles
};

// Python's name of the value's type: "str", "dict", ...
std::string_view type_name(const Value& value);

// The rest walks whole values; the caller charges the weight.
bool equal(const Value& a, const Value& b);
// Negative, 0, positive; Error when Python cannot order the two.
Result<int> compare(const Value& a, const Value& b);
// str(value) and repr(value).
Result<std::string> to_text(Environment& environment, const Value& value);
Result<std::string> to_repr(Environment& environment, const Value& value);
// json.dumps(value, ensure_ascii=False, ...).
struct JsonStyle {
  std::optional<std::string> indent;  // of one level; none: all on one line
  std::string item_separator = ", ", key_separator = ": ";
  bool sort_keys = false, ascii = false;
};
Result<std::string> to_json(Environment& environment, const Value& value, const JsonStyle& style);

// What a for loop would visit: items, characters, keys. Error for what Python cannot iterate.
Result<Items> iterate(Environment& environment, const Value& value);

}  // namespace edgellm::jinja
