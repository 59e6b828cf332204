; Definitions
(function_declaration name: (identifier) @name.function) @definition
(function_declaration name: (dot_index_expression table: (_) @container field: (identifier) @name.function)) @definition
(function_declaration name: (method_index_expression table: (_) @container method: (identifier) @name.method)) @definition
(assignment_statement
  (variable_list . name: (identifier) @name.function)
  (expression_list . value: (function_definition))) @definition
(assignment_statement
  (variable_list . name: (dot_index_expression table: (_) @container field: (identifier) @name.function))
  (expression_list . value: (function_definition))) @definition
(assignment_statement (variable_list name: (identifier) @name.variable)) @definition
(assignment_statement (variable_list name: (dot_index_expression table: (identifier) @container field: (identifier) @name.field))
  (#not-eq? @container "self")) @definition
(field name: (identifier) @name.method value: (function_definition)) @definition
(function_definition) @local

; References
(identifier) @reference

; Imports
((function_call name: (identifier) @_require arguments: (arguments . (string content: (string_content) @import.module))) @import
  (#eq? @_require "require"))
