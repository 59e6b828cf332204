; Definitions
(class_definition name: (identifier) @name.class) @definition
(function_definition name: (identifier) @name.function) @definition
(assignment left: (identifier) @name.variable) @definition
(assignment left: [(pattern_list (identifier) @name.variable) (tuple_pattern (identifier) @name.variable) (list_pattern (identifier) @name.variable)]) @definition
(assignment left: [(pattern_list (list_splat_pattern (identifier) @name.variable)) (tuple_pattern (list_splat_pattern (identifier) @name.variable)) (list_pattern (list_splat_pattern (identifier) @name.variable))]) @definition
(assignment left: (_ [(tuple_pattern (identifier) @name.variable) (list_pattern (identifier) @name.variable)])) @definition
(type_alias_statement left: (type (identifier) @name.type)) @definition
(type_alias_statement left: (type (generic_type (identifier) @name.type))) @definition
(lambda) @local

; References
(identifier) @reference

; Imports
(import_statement name: (dotted_name) @import.module) @import
(import_statement name: (aliased_import name: (dotted_name) @import.module alias: (identifier) @import.as)) @import
(import_from_statement module_name: (_) @import.module) @import
(import_from_statement name: (dotted_name) @import.name)
(import_from_statement name: (aliased_import name: (dotted_name) @import.name alias: (identifier) @import.as))
(import_from_statement (wildcard_import) @import.all)
(future_import_statement "__future__" @import.module) @import
(future_import_statement name: (dotted_name) @import.name)
