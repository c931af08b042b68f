#include "core/text/jinja_value.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "core/text/jinja_text.h"

namespace edgellm::jinja {

const Value* Dict::find(const Value& key) const {
  for (const auto& [name, value] : entries) {
    if (equal(name, key)) return &value;
  }
  return nullptr;
}

Value Value::undefined(std::string message) {
  Value result;
  result.held_ = std::make_shared<const std::string>(std::move(message));
  return result;
}

Value Value::none() {
  Value result;
  result.kind_ = Kind::none;
  return result;
}

Value Value::boolean(bool value) {
  Value result;
  result.kind_ = Kind::boolean;
  result.held_ = value;
  return result;
}

Value Value::integer(int64_t value) {
  Value result;
  result.kind_ = Kind::integer;
  result.held_ = value;
  return result;
}

Value Value::real(double value) {
  Value result;
  result.kind_ = Kind::real;
  result.held_ = value;
  return result;
}

Value Value::string(std::string value) {
  Value result;
  result.kind_ = Kind::string;
  result.held_ = std::make_shared<const std::string>(std::move(value));
  return result;
}

Value Value::sequence(Kind kind, std::shared_ptr<const Sequence> value) {
  Value result;
  result.kind_ = kind;
  result.held_ = std::move(value);
  return result;
}

Value Value::dict(std::shared_ptr<const Dict> value) {
  Value result;
  result.kind_ = Kind::dict;
  result.held_ = std::move(value);
  return result;
}

Value Value::of(Namespace* value) {
  Value result;
  result.kind_ = Kind::name_space;
  result.held_ = value;
  return result;
}

Value Value::of(const Loop* value) {
  Value result;
  result.kind_ = Kind::loop;
  result.held_ = value;
  return result;
}

Value Value::of(std::shared_ptr<const Callable> value) {
  Value result;
  result.kind_ = Kind::callable;
  result.held_ = std::move(value);
  return result;
}

int64_t Value::as_integer() const {
  if (kind_ == Kind::boolean) return std::get<bool>(held_) ? 1 : 0;
  return std::get<int64_t>(held_);
}

double Value::as_real() const {
  return kind_ == Kind::real ? std::get<double>(held_) : static_cast<double>(as_integer());
}

std::string Value::undefined_message() const {
  const auto* message = std::get_if<std::shared_ptr<const std::string>>(&held_);
  return message ? **message : "value is undefined";
}

size_t Value::depth() const {
  switch (kind_) {
    case Kind::list:
    case Kind::tuple:
      return std::get<std::shared_ptr<const Sequence>>(held_)->depth;
    case Kind::dict:
      return as_dict().depth;
    case Kind::callable:
      return as_callable().self.depth() + 1;
    default:
      return 0;
  }
}

size_t Value::weight() const {
  switch (kind_) {
    case Kind::string:
      return 16 + as_string().size();
    case Kind::list:
    case Kind::tuple:
      return std::get<std::shared_ptr<const Sequence>>(held_)->weight;
    case Kind::dict:
      return as_dict().weight;
    case Kind::callable:
      return 64 + as_callable().self.weight();
    default:
      return 16;
  }
}

bool Value::truthy() const {
  switch (kind_) {
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
      return as_boolean();
    case Kind::integer:
      return as_integer() != 0;
    case Kind::real:
      return as_real() != 0;
    case Kind::string:
      return !as_string().empty();
    case Kind::list:
    case Kind::tuple:
      return !items().empty();
    case Kind::dict:
      return !as_dict().entries.empty();
    default:
      return true;
  }
}

Status Environment::charge(uint64_t work) {
  if (work > work_left_) {
    work_left_ = 0;
    return Error{"the template takes more work than is allowed"};
  }
  work_left_ -= work;
  return {};
}

Result<Value> Environment::text(std::string text) {
  if (text.size() > kMaxValueBytes) return Error{fmt::format("a text grows over {} bytes", kMaxValueBytes)};
  EDGELLM_RETURN_IF_ERROR(charge(16 + text.size()));
  return Value::string(std::move(text));
}

Result<Value> Environment::sequence(Kind kind, Items items) {
  auto made = std::make_shared<Sequence>();
  made->weight = 32;
  for (const Value& item : items) {
    made->depth = std::max(made->depth, item.depth() + 1);
    made->weight += item.weight();
    if (made->weight > kMaxValueBytes)
      return Error{fmt::format("a list grows over {} bytes", kMaxValueBytes)};
  }
  if (made->depth > kMaxDepth) return Error{fmt::format("values are nested more than {} deep", kMaxDepth)};
  EDGELLM_RETURN_IF_ERROR(charge(64 + items.size() * sizeof(Value)));
  made->items = std::move(items);
  return Value::sequence(kind, std::move(made));
}

namespace {

bool hashable(const Value& value) {
  if (value.is(Kind::list) || value.is(Kind::dict)) return false;
  if (value.is(Kind::tuple)) return std::all_of(value.items().begin(), value.items().end(), hashable);
  return true;
}

}  // namespace

Result<Value> Environment::dict(Entries entries) {
  auto made = std::make_shared<Dict>();
  made->weight = 32;
  for (auto& [key, value] : entries) {
    // Keys are found by a walk over all of them; the cost of that is charged, so that it cannot be abused.
    EDGELLM_RETURN_IF_ERROR(charge(key.weight() + 2 * sizeof(Value) + 8 * made->entries.size()));
    if (!hashable(key)) return Error{fmt::format("unhashable type: '{}'", type_name(key))};
    if (auto* old = const_cast<Value*>(made->find(key))) {
      *old = std::move(value);
    } else {
      made->entries.emplace_back(std::move(key), std::move(value));
    }
  }
  for (const auto& [key, value] : made->entries) {
    made->depth = std::max({made->depth, key.depth() + 1, value.depth() + 1});
    made->weight += key.weight() + value.weight();
    if (made->weight > kMaxValueBytes)
      return Error{fmt::format("a dict grows over {} bytes", kMaxValueBytes)};
  }
  if (made->depth > kMaxDepth) return Error{fmt::format("values are nested more than {} deep", kMaxDepth)};
  return Value::dict(std::move(made));
}

Result<Value> Environment::bound_method(std::string name, Value self) {
  if (self.depth() >= kMaxDepth) return Error{fmt::format("values are nested more than {} deep", kMaxDepth)};
  EDGELLM_RETURN_IF_ERROR(charge(kStepCost));
  return Value::of(
      std::make_shared<const Callable>(Callable{std::move(name), std::move(self), true, nullptr}));
}

Value Environment::make_namespace(std::vector<std::pair<std::string, Value>> attributes) {
  return Value::of(&namespaces_.emplace_back(Namespace{std::move(attributes)}));
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return "Undefined";
    case Kind::none:
      return "NoneType";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
      return "int";
    case Kind::real:
      return "float";
    case Kind::string:
      return "str";
    case Kind::list:
      return "list";
    case Kind::tuple:
      return "tuple";
    case Kind::dict:
      return "dict";
    case Kind::name_space:
      return "Namespace";
    case Kind::loop:
      return "LoopContext";
    case Kind::callable:
      return "function";
  }
  return "object";
}

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return a.as_integer() == b.as_integer();
    return a.as_real() == b.as_real();
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::string:
      return a.as_string() == b.as_string();
    case Kind::list:
    case Kind::tuple:
      return std::equal(a.items().begin(), a.items().end(), b.items().begin(), b.items().end(), equal);
    case Kind::dict: {
      const Entries& entries = a.as_dict().entries;
      if (entries.size() != b.as_dict().entries.size()) return false;
      return std::all_of(entries.begin(), entries.end(), [&](const auto& entry) {
        const Value* other = b.as_dict().find(entry.first);
        return other && equal(entry.second, *other);
      });
    }
    case Kind::name_space:
      return a.as_namespace() == b.as_namespace();
    case Kind::loop:
      return &a.as_loop() == &b.as_loop();
    case Kind::callable:
      return &a.as_callable() == &b.as_callable();
    default:
      return true;  // undefined, none
  }
}

Result<int> compare(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) {
      return a.as_integer() < b.as_integer() ? -1 : a.as_integer() > b.as_integer() ? 1 : 0;
    }
    return a.as_real() < b.as_real() ? -1 : a.as_real() > b.as_real() ? 1 : 0;
  }
  // UTF-8 keeps the order of code points.
  if (a.is(Kind::string) && b.is(Kind::string)) return a.as_string().compare(b.as_string());
  if (a.is_sequence() && a.kind() == b.kind()) {
    for (size_t i = 0; i < a.items().size() && i < b.items().size(); ++i) {
      if (equal(a.items()[i], b.items()[i])) continue;
      return compare(a.items()[i], b.items()[i]);
    }
    return a.items().size() < b.items().size() ? -1 : a.items().size() > b.items().size() ? 1 : 0;
  }
  if (a.is_undefined()) return Error{a.undefined_message()};
  if (b.is_undefined()) return Error{b.undefined_message()};
  return Error{fmt::format("'{}' and '{}' cannot be ordered", type_name(a), type_name(b))};
}

Result<Items> iterate(Environment& environment, const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return Items{};
    case Kind::list:
    case Kind::tuple:
      EDGELLM_RETURN_IF_ERROR(environment.charge(value.items().size() * sizeof(Value)));
      return value.items();
    case Kind::dict: {
      Items keys;
      EDGELLM_RETURN_IF_ERROR(environment.charge(value.as_dict().entries.size() * sizeof(Value)));
      for (const auto& entry : value.as_dict().entries) keys.push_back(entry.first);
      return keys;
    }
    case Kind::string: {
      Items characters;
      EDGELLM_RETURN_IF_ERROR(environment.charge(value.as_string().size() * 2 * sizeof(Value)));
      for (std::string_view character : code_points(value.as_string())) {
        characters.push_back(Value::string(std::string(character)));
      }
      return characters;
    }
    default:
      return Error{fmt::format("'{}' object is not iterable", type_name(value))};
  }
}

namespace {

// Writes values as Python prints them. Charges what it writes, and stops at the limit of one value.
class Printer {
 public:
  explicit Printer(Environment& environment) : environment_(environment) {}

  Status repr(const Value& value) {
    EDGELLM_RETURN_IF_ERROR(environment_.charge(Environment::kStepCost));
    switch (value.kind()) {
      case Kind::string:
        return put(quoted(value.as_string()));
      case Kind::list:
        return items(value, "[", "]");
      case Kind::tuple:
        return items(value, "(", value.items().size() == 1 ? ",)" : ")");
      case Kind::dict:
        return entries(value.as_dict());
      default:
        return put(plain(value));
    }
  }

  static std::string plain(const Value& value) {
    switch (value.kind()) {
      case Kind::none:
        return "None";
      case Kind::boolean:
        return value.as_boolean() ? "True" : "False";
      case Kind::integer:
        return std::to_string(value.as_integer());
      case Kind::real:
        return python_float(value.as_real());
      case Kind::undefined:
        return "Undefined";
      case Kind::name_space:
        return "<Namespace>";
      case Kind::loop:
        return fmt::format("<LoopContext {}/{}>", value.as_loop().index + 1, value.as_loop().items.size());
      default:
        return fmt::format("<function {}>", value.as_callable().name);
    }
  }

  Status put(std::string_view piece) {
    if (text.size() + piece.size() > Environment::kMaxValueBytes)
      return Error{"a printed value is too large"};
    EDGELLM_RETURN_IF_ERROR(environment_.charge(piece.size()));
    text += piece;
    return {};
  }

  std::string text;

 private:
  Status items(const Value& value, std::string_view open, std::string_view close) {
    EDGELLM_RETURN_IF_ERROR(put(open));
    bool first = true;
    for (const Value& item : value.items()) {
      if (!first) EDGELLM_RETURN_IF_ERROR(put(", "));
      first = false;
      EDGELLM_RETURN_IF_ERROR(repr(item));
    }
    return put(close);
  }

  Status entries(const Dict& dict) {
    EDGELLM_RETURN_IF_ERROR(put("{"));
    bool first = true;
    for (const auto& [key, value] : dict.entries) {
      if (!first) EDGELLM_RETURN_IF_ERROR(put(", "));
      first = false;
      EDGELLM_RETURN_IF_ERROR(repr(key));
      EDGELLM_RETURN_IF_ERROR(put(": "));
      EDGELLM_RETURN_IF_ERROR(repr(value));
    }
    return put("}");
  }

  Environment& environment_;
};

}  // namespace

Result<std::string> to_text(Environment& environment, const Value& value) {
  if (value.is_undefined()) return std::string();
  if (value.is(Kind::string)) {
    EDGELLM_RETURN_IF_ERROR(environment.charge(value.as_string().size()));
    return value.as_string();
  }
  return to_repr(environment, value);
}

Result<std::string> to_repr(Environment& environment, const Value& value) {
  Printer printer(environment);
  EDGELLM_RETURN_IF_ERROR(printer.repr(value));
  return std::move(printer.text);
}

}  // namespace edgellm::jinja
