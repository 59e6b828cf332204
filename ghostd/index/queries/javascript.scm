; Definitions
(class_declaration name: (identifier) @name.class) @definition
(class name: (identifier) @name.class) @definition
(function_declaration name: (identifier) @name.function) @definition
(generator_function_declaration name: (identifier) @name.function) @definition
(method_definition name: [(property_identifier) (private_property_identifier)] @name.method) @definition
(field_definition property: [(property_identifier) (private_property_identifier)] @name.field) @definition
(variable_declarator name: (identifier) @name.function value: [(arrow_function) (function_expression) (generator_function)]) @definition
(variable_declarator name: (identifier) @name.class value: (class)) @definition
(lexical_declaration "const" (variable_declarator name: (identifier) @name.constant) @definition)
(export_statement declaration: (lexical_declaration "const" (variable_declarator name: [(object_pattern (shorthand_property_identifier_pattern) @name.constant) (object_pattern (pair_pattern value: (identifier) @name.constant)) (object_pattern (object_assignment_pattern left: (shorthand_property_identifier_pattern) @name.constant)) (array_pattern (identifier) @name.constant)]) @definition))
(export_statement declaration: (lexical_declaration "let" (variable_declarator name: [(object_pattern (shorthand_property_identifier_pattern) @name.variable) (object_pattern (pair_pattern value: (identifier) @name.variable)) (object_pattern (object_assignment_pattern left: (shorthand_property_identifier_pattern) @name.variable)) (array_pattern (identifier) @name.variable)]) @definition))
(lexical_declaration "let" (variable_declarator name: (identifier) @name.variable) @definition)
(variable_declaration (variable_declarator name: (identifier) @name.variable) @definition)
(pair key: (property_identifier) @name.method value: [(arrow_function) (function_expression)]) @definition
(assignment_expression
  left: (member_expression property: (property_identifier) @name.function)
  right: [(arrow_function) (function_expression)]) @definition
(arrow_function) @local
(function_expression) @local

; Tests, as Jest, Vitest, Mocha, Jasmine and node:test know them; a suite is their container.
((call_expression
  function: [
    (identifier) @_test
    (member_expression object: (identifier) @_test)
    (call_expression function: (member_expression object: (identifier) @_test))]
  arguments: (arguments . [(string . (string_fragment) @name.test .) (template_string . (string_fragment) @name.test .)])) @definition
  (#any-of? @_test "it" "test" "specify"))
((call_expression
  function: [(identifier) @_suite (member_expression object: (identifier) @_suite)]
  arguments: (arguments . [(string . (string_fragment) @name.module .) (template_string . (string_fragment) @name.module .)])) @definition
  (#any-of? @_suite "describe" "suite" "context"))

; References
(identifier) @reference
(property_identifier) @reference
(private_property_identifier) @reference
(shorthand_property_identifier) @reference
(shorthand_property_identifier_pattern) @reference

; Imports
(import_statement source: (string) @import.module) @import
(import_statement (import_clause (identifier) @import.default))
(import_statement (import_clause (namespace_import (identifier) @import.namespace)))
(import_specifier) @import.specifier
(export_statement source: (string) @import.module) @import
(export_statement "*" @import.all source: (string))
(export_statement (namespace_export [(identifier) (string)] @import.namespace))
(export_statement (export_clause (export_specifier) @import.specifier) source: (string))
(export_statement (export_clause) @exports)
(export_statement "default" value: (identifier) @exports)
(export_statement "default" declaration: (_ name: (_) @exports))
(call_expression function: (import) arguments: (arguments . (string) @import.module)) @import
((call_expression function: (identifier) @_require arguments: (arguments . (string) @import.module)) @import
  (#eq? @_require "require"))
((assignment_expression left: (member_expression) @_exports right: (identifier) @exports)
  (#eq? @_exports "module.exports"))
